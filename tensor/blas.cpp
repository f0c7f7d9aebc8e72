#include "tensor/blas.h"

namespace bbam {

GemmExtents check_gemm(const Tensor& a, const Tensor& b, const Tensor& c, const GemmSpec& spec) {
  check(a.rank() == 2 && b.rank() == 2 && c.rank() == 2, "gemm of ", a, " and ", b, " into ", c,
        "; expected three matrices");
  const int64_t m = a.dim(spec.transpose_a ? 1 : 0), k = a.dim(spec.transpose_a ? 0 : 1);
  const int64_t n = b.dim(spec.transpose_b ? 0 : 1), k_b = b.dim(spec.transpose_b ? 1 : 0);
  check(k == k_b && c.dim(0) == m && c.dim(1) == n, "gemm of ", a.shape(),
        spec.transpose_a ? "^T and " : " and ", b.shape(), spec.transpose_b ? "^T" : "", " into ",
        c.shape());
  check(a.dtype() == b.dtype() && a.dtype() == c.dtype() && a.device() == b.device() &&
            a.device() == c.device(),
        "gemm of ", a, " and ", b, " into ", c, "; expected one type and device");
  return {m, n, k};
}

}  // namespace bbam
