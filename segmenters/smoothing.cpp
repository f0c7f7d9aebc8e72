#include "segmenters/smoothing.h"

#include <algorithm>
#include <cmath>

namespace bbam {
namespace {

// Weights at 0, 1, ..., radius, of which the whole kernel sums to 1.
std::vector<float> half_kernel(double sigma) {
  const auto radius = int64_t(std::ceil(4 * sigma));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i <= radius; ++i) {
    weights.push_back(std::exp(-0.5 * double(i * i) / (sigma * sigma)));
    sum += i == 0 ? weights.back() : 2 * weights.back();
  }
  std::vector<float> kernel;
  for (const double weight : weights) kernel.push_back(float(weight / sum));
  return kernel;
}

// y[i] = sum of kernel[|d|] x[i + d], for `length` elements that are `step` numbers apart; each
// element is `width` numbers wide.
void smooth_along(const float* x, float* y, const std::vector<float>& kernel, int64_t length,
                  int64_t step, int64_t width) {
  for (int64_t i = 0; i < length; ++i) {
    float* to = y + i * step;
    const float* middle = x + i * step;
    for (int64_t c = 0; c < width; ++c) to[c] = kernel[0] * middle[c];
    for (int64_t d = 1; d < int64_t(kernel.size()); ++d) {
      const float* before = x + std::max<int64_t>(i - d, 0) * step;
      const float* after = x + std::min(i + d, length - 1) * step;
      for (int64_t c = 0; c < width; ++c) to[c] += kernel[size_t(d)] * (before[c] + after[c]);
    }
  }
}

}  // namespace

Tensor gaussian_smooth(const Tensor& picture, double sigma_px) {
  check_shape(picture, {-1, -1, -1}, "gaussian_smooth: picture");
  check(picture.size() > 0 && picture.device().is_cpu(), "gaussian_smooth: picture is ", picture,
        "; expected pixels on the CPU");
  check(sigma_px >= 0 && sigma_px <= 100, "gaussian_smooth: sigma ", sigma_px,
        " px; expected 0 to 100");
  if (sigma_px == 0) return picture.clone();
  const int64_t height = picture.dim(0), width = picture.dim(1), channels = picture.dim(2);
  const std::vector<float> kernel = half_kernel(sigma_px);
  Tensor rows = Tensor::empty_like(picture), smooth = Tensor::empty_like(picture);
  const float* x = picture.data<float>();
  float *between = rows.mutable_data<float>(), *y = smooth.mutable_data<float>();
  for (int64_t row = 0; row < height; ++row)
    smooth_along(x + row * width * channels, between + row * width * channels, kernel, width,
                 channels, channels);
  smooth_along(between, y, kernel, height, width * channels, width * channels);
  return smooth;
}

}  // namespace bbam
