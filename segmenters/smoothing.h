// Gaussian smoothing of pictures on the host.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// A new tensor from picture (H, W, C) f32 on the CPU: each channel with a Gaussian of that standard
// deviation, cut off at ceil(4 sigma_px); beyond the border its pixels go on. 0: as it is. Throws
// Error for another shape or device, an empty picture or a sigma that is negative or over 100.
Tensor gaussian_smooth(const Tensor& picture, double sigma_px);

}  // namespace bbam
