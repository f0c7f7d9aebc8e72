// Zero mean and unit variance over groups of channels, then an affine map: what batch and group
// normalisation have in common, with gradients; f32 and f64.
#pragma once
#include "autograd/variable.h"

namespace bbam {

struct Standardised {
  Variable y;             // the shape of x
  Tensor mean, variance;  // (outer, C), biased; the channels of a group hold the same numbers
};

// x, seen as (outer, rows, C), is standardised over the rows and the C / groups neighbouring
// channels of each group:
//   y = (x - mean) / sqrt(variance + eps) * gamma + beta,   gamma, beta: (C)
// The variance is summed from differences to the mean, in a second pass. Gradients to x, gamma and
// beta. The same bytes for any number of threads. Throws Error naming `op` when types, devices or
// extents do not fit.
Standardised standardise(const char* op, const Variable& x, int64_t outer, int64_t groups,
                         const Variable& gamma, const Variable& beta, double eps);

// Throws Error naming `op` unless `parameter` is (C) for x: (..., C), of its type and device.
void check_per_channel(const char* op, const char* name, const Tensor& parameter, const Tensor& x);

}  // namespace bbam
