// Bilinear and nearest resizing with gradients; f32 and f64, NHWC.
#pragma once
#include "autograd/variable.h"

namespace bbam {

// Where the pixels of the result lie on the input, per axis, for `in` pixels becoming `out`:
//   kAligned    the centres of the corner pixels coincide: o (in - 1) / (out - 1);
//               PyTorch's align_corners = true
//   kHalfPixel  the edges coincide: (o + 1/2) in / out - 1/2, not below 0;
//               PyTorch's align_corners = false
enum class Corners { kAligned, kHalfPixel };

// x: (N, H, W, C) -> (N, height, width, C), along one axis after the other. Equal to PyTorch's
// interpolate(mode="bilinear") without antialiasing. Gradients are gathered: the same bytes for any
// number of threads. Throws Error when an empty image is to become one with pixels.
Variable resize_bilinear(const Variable& x, int64_t height, int64_t width, Corners corners);

// The same for interpolate(mode="nearest"), floor(o in / out), under kHalfPixel; under kAligned the
// pixel nearest to o (in - 1) / (out - 1), of two equally near the lower.
Variable resize_nearest(const Variable& x, int64_t height, int64_t width,
                        Corners corners = Corners::kHalfPixel);

}  // namespace bbam
