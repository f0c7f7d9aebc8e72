// Group normalisation [Wu and He, ECCV 2018].
#pragma once
#include "autograd/variable.h"

namespace bbam {

// x: (N, ..., C), f32 or f64; gamma, beta: (C). Each image's channels are cut into `groups` runs of
// C / groups neighbours; each run is brought to mean 0 and (biased) variance 1 over all its
// positions:
//   y = (x - mean) / sqrt(var + eps) * gamma + beta
// Gradients to x, gamma and beta. The same bytes for any number of threads. Throws Error when the
// groups do not divide C, or when gamma or beta is not (C).
Variable group_norm(const Variable& x, int groups, const Variable& gamma, const Variable& beta,
                    double eps = 1e-5);

}  // namespace bbam
