// Pointwise arithmetic with gradients, f32 and f64.
//
// Two-operand ops broadcast like NumPy up to rank 6; the gradients are summed back to each
// operand's shape in a fixed order (sum_to). NaN goes in and out: no op hides one.
// Derivatives at kinks: relu 0 at 0; abs 0 at 0; clamp 1 on the limits; maximum and minimum give
// half to each of two equal values (as PyTorch does).
#pragma once
#include "autograd/variable.h"

namespace bbam {

Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
Variable maximum(const Variable& a, const Variable& b);
Variable minimum(const Variable& a, const Variable& b);

Variable neg(const Variable& x);
Variable scale(const Variable& x, double factor);  // factor * x
Variable shift(const Variable& x, double term);    // x + term
Variable relu(const Variable& x);
Variable sigmoid(const Variable& x);
Variable exp(const Variable& x);
Variable log(const Variable& x);  // natural
Variable sqrt(const Variable& x);
Variable square(const Variable& x);
Variable abs(const Variable& x);
Variable pow(const Variable& x, double exponent);
Variable clamp(const Variable& x, double low, double high);

}  // namespace bbam
