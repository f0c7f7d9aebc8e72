// Sums, means and maxima with gradients, f32 and f64.
//
// Sums run over a tree of pieces of fixed size (sum_to in broadcast.h): the same bytes for any
// thread count. `axis` may be negative; with `keep` the axis stays, of extent 1, else it goes.
#pragma once
#include "autograd/variable.h"

namespace bbam {

Variable sum(const Variable& x);   // of all elements: a scalar of shape ()
Variable mean(const Variable& x);  // NaN when x is empty
Variable sum(const Variable& x, int axis, bool keep = false);
Variable mean(const Variable& x, int axis, bool keep = false);
// The gradient goes to the first of equal maxima. A NaN is the maximum. Throws Error when the axis
// is empty.
Variable max(const Variable& x, int axis, bool keep = false);

}  // namespace bbam
