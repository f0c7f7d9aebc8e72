// Max and average pooling with gradients; f32 and f64, NHWC.
#pragma once
#include "autograd/variable.h"

namespace bbam {

// Windows of kernel x kernel pixels, `stride` apart, on an image padded by `padding` on each side.
// ceil_mode also makes the windows that stick out at the far end, as long as they begin inside the
// image or its near padding (PyTorch's rule).
struct Pool2dSpec {
  int kernel = 2, stride = 2, padding = 0;
  bool ceil_mode = false;
  bool count_include_pad =
      true;  // average: padding counts as zeros; what lies beyond it never counts
};

// Extent of the result along an axis of `in` pixels.
int64_t pooled_extent(int64_t in, const Pool2dSpec& spec);

// x: (N, H, W, C) -> (N, Ho, Wo, C). Padding is -infinity for the maximum; of equal values the
// first in row-major order receives the gradient, and a NaN wins over every number. Gradients are
// gathered: same bytes for any thread count. Throws Error for a kernel over 15 or a padding of more
// than half of it.
Variable max_pool2d(const Variable& x, const Pool2dSpec& spec);
Variable avg_pool2d(const Variable& x, const Pool2dSpec& spec);

// (N, H, W, C) -> (N, C), the mean over all positions.
Variable global_avg_pool(const Variable& x);

}  // namespace bbam
