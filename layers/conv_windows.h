// A convolution where its result is read, and nowhere else: a box that covers a tenth of a picture
// needs a tenth of the finest pyramid levels, which are the dearest.
#pragma once
#include <vector>

#include "layers/module.h"
#include "layers/window.h"

namespace bbam {

// x: (N, H, W, Cin) -> (N, H, W, Cout): conv(x) inside windows[n] of image n, 0 elsewhere. Image by
// image, so that no result depends on which other images are in the batch. With gradients.
// The convolution must keep the extent: stride 1 and padding = dilation * (kernel - 1) / 2.
Variable conv2d_in_windows(const Variable& x, const Conv2d& conv,
                           const std::vector<Window>& windows);

}  // namespace bbam
