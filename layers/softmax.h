// Softmax over the last axis, with gradients; f32 and f64.
#pragma once
#include "autograd/variable.h"

namespace bbam {

// exp(x_c) / sum_k exp(x_k), shifted by the row's maximum so that nothing overflows.
Variable softmax(const Variable& x);
// The logarithm of that, without the detour over a quotient that may be 0.
Variable log_softmax(const Variable& x);

}  // namespace bbam
