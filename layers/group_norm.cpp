#include "layers/group_norm.h"

#include "layers/standardise.h"

namespace bbam {

Variable group_norm(const Variable& x, int groups, const Variable& gamma, const Variable& beta,
                    double eps) {
  check(x.rank() >= 2, "group_norm: x is ", x.value(), "; expected (N, ..., C)");
  return standardise("group_norm", x, x.dim(0), groups, gamma, beta, eps).y;
}

}  // namespace bbam
