// The perturbed image Φ(I, M) [BBAM, section 3.2].
#pragma once
#include <array>
#include <vector>

#include "autograd/variable.h"
#include "layers/resize.h"

namespace bbam {

// Φ(I, M) = I ∘ M̂ + μ ∘ (1 − M̂) for K masks of one image. image: (1, H, W, 3); upsampled masks M̂:
// (K, H, W, 1); μ: the fill, per channel, in the units of the image (0 when it is mean-subtracted).
// Returns (K, H, W, 3). All f32 or all f64 on one device, else throws Error. Gradients flow to the
// masks alone.
Variable perturb(const Tensor& image, const Variable& upsampled,
                 const std::array<double, 3>& fill = {0, 0, 0});

// M̂ for masks (h_k, w_k) of different sizes: (K, height, width, 1).
Variable upsample_masks(const std::vector<Variable>& masks, int64_t height, int64_t width,
                        Corners corners);

}  // namespace bbam
