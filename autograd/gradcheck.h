// Verifies a gradient by central differences in double.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace bbam {

using Function = std::function<Variable(const std::vector<Variable>&)>;

struct GradcheckOptions {
  double step = 1e-5;   // of the central difference
  int64_t most = 2000;  // elements checked per input; of larger inputs an even sample
  uint64_t seed = 1;    // of the random cotangent
};

struct GradcheckResult {
  double worst = 0;   // max |analytic - numeric| / max(1, |analytic|, |numeric|)
  std::string where;  // input, element, and both values of the worst
  int64_t checked = 0;
};

// Differentiates <c, f(inputs)> for a random cotangent c with respect to each f64 input that is
// marked in `wanted` (all of them when empty), on the inputs' device.
GradcheckResult gradcheck(const Function& f, const std::vector<Tensor>& inputs,
                          const std::vector<bool>& wanted = {},
                          const GradcheckOptions& options = {});

}  // namespace bbam
