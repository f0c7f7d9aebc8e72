// Noise on images, for SmoothGrad.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// Copies first to first + count - 1 of an endless sequence of noisy copies of `image`
// (1, H, W, C), f32 or f64: (count, H, W, C). Every value of every copy has independent normal
// noise of standard deviation `sigma` added to it, which (seed, copy, place in the image) alone
// decide: the same for any grouping into calls. Throws Error for another shape, a count below 1 or
// a sigma below 0.
Tensor noisy_copies(const Tensor& image, int64_t first, int64_t count, double sigma, uint64_t seed);

}  // namespace bbam
