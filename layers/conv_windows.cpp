#include "layers/conv_windows.h"

#include <algorithm>

#include "layers/shape_ops.h"

namespace bbam {
namespace {

Variable cut(const Variable& x, const Window& w) {
  return slice(slice(x, 1, w.top, w.bottom), 2, w.left, w.right);
}

// x: (1, H, W, C)
Variable conv2d_in_window(const Variable& x, const Conv2d& conv, const Window& w) {
  const int64_t height = x.dim(1), width = x.dim(2), reach = conv.spec.padding;
  const Window read{std::max<int64_t>(w.top - reach, 0), std::min(w.bottom + reach, height),
                    std::max<int64_t>(w.left - reach, 0), std::min(w.right + reach, width)};
  const Variable inside = cut(conv(cut(x, read)), {w.top - read.top, w.bottom - read.top,
                                                   w.left - read.left, w.right - read.left});
  return pad_zeros(pad_zeros(inside, 2, w.left, width - w.right), 1, w.top, height - w.bottom);
}

}  // namespace

Variable conv2d_in_windows(const Variable& x, const Conv2d& conv,
                           const std::vector<Window>& windows) {
  check(x.rank() == 4 && x.dim(0) == int64_t(windows.size()) && !windows.empty(),
        "conv2d_in_windows: ", windows.size(), " windows for x ", x.value());
  const Shape kernel = conv.weight.shape();
  check(conv.spec.stride == 1 && 2 * conv.spec.padding == conv.spec.dilation * (kernel[1] - 1) &&
            kernel[1] == kernel[2],
        "conv2d_in_windows: kernel ", kernel, ", stride ", conv.spec.stride, ", padding ",
        conv.spec.padding, "; expected a square one that keeps the extent");
  std::vector<Variable> images;
  for (int64_t n = 0; n < x.dim(0); ++n) {
    const Window& w = windows[size_t(n)];
    check(w.empty() || (w.top >= 0 && w.bottom <= x.dim(1) && w.left >= 0 && w.right <= x.dim(2)),
          "conv2d_in_windows: rows ", w.top, " to ", w.bottom, ", columns ", w.left, " to ",
          w.right, " of x ", x.value());
    if (w.empty())
      images.emplace_back(Tensor::zeros({1, x.dim(1), x.dim(2), kernel[0]}, x.dtype(), x.device()));
    else
      images.push_back(conv2d_in_window(slice(x, 0, n, n + 1), conv, w));
  }
  return concat(images, 0);
}

}  // namespace bbam
