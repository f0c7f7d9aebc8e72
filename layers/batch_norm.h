// Batch normalisation [Ioffe and Szegedy, ICML 2015] in its three forms: trained, by running
// statistics, and frozen to an affine map. f32 and f64; the same bytes for any number of threads.
//
// x: (N, ..., C); gamma, beta, running_mean, running_var: (C), of x's type and device. Other
// extents throw Error.
#pragma once
#include "autograd/variable.h"

namespace bbam {

// y = (x - mean) / sqrt(var + eps) * gamma + beta, with gradients to x, gamma and beta.
//   training   mean and biased variance of this batch, through which gradients flow. The running
//              statistics are overwritten: r <- (1 - momentum) r + momentum s, where s is the mean
//              and the unbiased variance. One value per channel has none: throws Error. An empty
//              batch leaves the running statistics as they are.
//   otherwise  the running statistics, as constants.
Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                    Tensor& running_mean, Tensor& running_var, bool training, double momentum = 0.1,
                    double eps = 1e-5);

struct ScaleShift {
  Tensor scale, shift;  // (C)
};

// Batch normalisation by fixed statistics as x * scale + shift:
//   scale = gamma / sqrt(var + eps), shift = beta - mean * scale.
// New tensors; all arguments (C), of one type and device.
ScaleShift frozen_scale_shift(const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                              const Tensor& var, double eps);

// y = x * scale + shift per channel, with gradients to x, scale and shift.
Variable scale_channels(const Variable& x, const Variable& scale, const Variable& shift);

}  // namespace bbam
