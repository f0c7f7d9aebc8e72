#include "attribution/map_to_probability.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "layers/resize.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// A line: `offset` at x = `from`, exactly.
struct Line {
  float scale = 1, from = 0, offset = 0;
  HD float operator()(float x) const { return scale * (x - from) + offset; }
};

// y = clamp(line(x), 0, 1) inside the box, 0 outside.
struct LineInBox {
  const float* x;
  float* y;
  PixelRect box;
  int64_t width;
  Line line;
  HD void operator()(int64_t i) const {
    const int64_t row = i / width, col = i % width;
    const bool inside = row >= box.y0 && row < box.y1 && col >= box.x0 && col < box.x1;
    y[i] = inside ? clamp_(line(x[i]), 0.f, 1.f) : 0.f;
  }
};

struct Positive {
  float* x;
  HD void operator()(int64_t i) const { x[i] = x[i] > 0.f ? 1.f : 0.f; }
};

// One pixel of a blur along one axis with `length` pixels `stride` apart.
struct Blur {
  const float *x, *taps;
  float* y;
  int64_t length, stride, radius;
  HD void operator()(int64_t i) const {
    const int64_t at = i / stride % length, line = i - at * stride;
    const int64_t period = max_<int64_t>(2 * length - 2, 1);
    float sum = 0;
    for (int64_t k = -radius; k <= radius; ++k) {
      int64_t from = (at + k) % period;
      if (from < 0) from += period;
      if (from >= length) from = period - from;
      sum += taps[k + radius] * x[line + from * stride];
    }
    y[i] = sum;
  }
};

Tensor line_in_box(const Tensor& map, const PixelRect& box, const Line& line) {
  check(map.rank() == 2, "attribution map ", map, "; expected (H, W)");
  Tensor y = Tensor::empty_like(map);
  parallel_for("line_in_box", y.stream(), y.size(),
               LineInBox{map.data<float>(), y.mutable_data<float>(), box, map.dim(1), line});
  return y;
}

// The values inside the box, on the host.
std::vector<float> values_inside(const Tensor& map, const PixelRect& box) {
  const auto all = map.to(kCpu).to_vector<float>();
  std::vector<float> inside;
  for (int64_t row = box.y0; row < box.y1; ++row)
    inside.insert(inside.end(), all.begin() + row * map.dim(1) + box.x0,
                  all.begin() + row * map.dim(1) + box.x1);
  return inside;
}

Tensor at_image_size(const Tensor& map, int64_t height, int64_t width) {
  check(map.rank() == 2, "attribution map ", map, "; expected (h, w)");
  const NoGrad frozen;
  const Variable coarse(map.reshape({1, map.dim(0), map.dim(1), 1}));
  return resize_bilinear(coarse, height, width, Corners::kHalfPixel)
      .value()
      .reshape({height, width});
}

// What brings values to [0, 1], the least exactly to 0. All zeros stay zeros, other constants
// become 1.
Line to_unit(const std::vector<float>& values) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (*greatest > *least) return {float(1.0 / (double(*greatest) - *least)), *least, 0};
  return {0, 0, *greatest > 0 ? 1.f : 0.f};
}

}  // namespace

PixelRect pixel_rect(const BoxArray& box, int64_t height, int64_t width) {
  const auto low = [](float at, int64_t limit) {
    return std::clamp<int64_t>(int64_t(std::floor(at + 0.5f)), 0, limit - 1);
  };
  const auto high = [](float at, int64_t least, int64_t limit) {
    return std::clamp<int64_t>(int64_t(std::floor(at + 0.5f)), least + 1, limit);
  };
  check(height > 0 && width > 0, "a box on an image of ", height, " x ", width);
  const int64_t x0 = low(box[0], width), y0 = low(box[1], height);
  return {x0, y0, high(box[2], x0, width), high(box[3], y0, height)};
}

Tensor rescaled_map(const Tensor& map, const PixelRect& box, int64_t height, int64_t width) {
  const Tensor full = at_image_size(map, height, width);
  return line_in_box(full, box, to_unit(values_inside(full, box)));
}

Tensor authors_probability(const Tensor& map, const PixelRect& box, double theta, int64_t height,
                           int64_t width, double blur_reference_long_side_px) {
  check(map.rank() == 2, "attribution map ", map, "; expected (h, w)");
  // Before the resize, whose rounding would leave the least values a little above 0: where the
  // value at the rank is 0, the division makes everything above it certain.
  const PixelRect whole{0, 0, map.dim(1), map.dim(0)};
  const Tensor unit = line_in_box(map, whole, to_unit(map.to(kCpu).to_vector<float>()));
  const Tensor inside = zero_outside(at_image_size(unit, height, width), box);
  const Tensor ranked = divide_by_rank(inside, box, theta);
  const int sigma_px = blur_sigma_px(box, height, width, blur_reference_long_side_px);
  const Tensor blurred = zero_outside(gaussian_blur(ranked, sigma_px), box);
  return divide_by_rank(blurred, box, 1);
}

Tensor divide_by_rank(const Tensor& map, const PixelRect& box, double theta) {
  check(theta >= 0 && theta <= 1, "theta ", theta, "; expected 0 to 1");
  std::vector<float> values = map.to(kCpu).to_vector<float>();
  const auto rank = std::min<int64_t>(int64_t(double(box.area()) * (1 - theta)), map.size() - 1);
  std::nth_element(values.begin(), values.begin() + rank, values.end(), std::greater<>());
  const float at_rank = values[size_t(rank)];
  if (at_rank > 0) return line_in_box(map, box, {1 / at_rank, 0, 0});
  Tensor certain = zero_outside(map, box);
  parallel_for("positive", certain.stream(), certain.size(),
               Positive{certain.mutable_data<float>()});
  return certain;
}

Tensor rank_normalised(const Tensor& map, const PixelRect& box) {
  std::vector<float> sorted = values_inside(map, box);
  std::sort(sorted.begin(), sorted.end());
  std::vector<float> values = map.to(kCpu).to_vector<float>();
  for (float& value : values) {
    const auto [below, above] = std::equal_range(sorted.begin(), sorted.end(), value);
    const auto middle = double(below - sorted.begin()) + double(above - sorted.begin());
    value = float(middle / (2.0 * double(sorted.size())));
  }
  return zero_outside(Tensor::from(values, map.shape()).to(map.device()), box);
}

int blur_sigma_px(const PixelRect& box, int64_t height, int64_t width,
                  double reference_long_side_px) {
  const double sigma = 16 + 48 * std::sqrt(double(box.area()) / double(height * width));
  const bool scales = reference_long_side_px > 0;
  const double scale = scales ? double(std::max(height, width)) / reference_long_side_px : 1;
  return std::max(1, int(sigma * scale));
}

Tensor gaussian_blur(const Tensor& map, int sigma_px) {
  check(map.rank() == 2 && sigma_px >= 1, "blur of ", map, " with sigma ", sigma_px, " px");
  std::vector<float> taps;
  double total = 0;
  for (int k = -sigma_px; k <= sigma_px; ++k)
    total += std::exp(-0.5 * k * k / (double(sigma_px) * sigma_px));
  for (int k = -sigma_px; k <= sigma_px; ++k)
    taps.push_back(float(std::exp(-0.5 * k * k / (double(sigma_px) * sigma_px)) / total));
  const Tensor kernel = Tensor::from(taps).to(map.device());
  Tensor along_rows = Tensor::empty_like(map), y = Tensor::empty_like(map);
  parallel_for("blur.x", y.stream(), y.size(),
               Blur{map.data<float>(), kernel.data<float>(), along_rows.mutable_data<float>(),
                    map.dim(1), 1, sigma_px});
  parallel_for("blur.y", y.stream(), y.size(),
               Blur{along_rows.data<float>(), kernel.data<float>(), y.mutable_data<float>(),
                    map.dim(0), map.dim(1), sigma_px});
  return y;
}

Tensor filled_box(const PixelRect& box, double value, int64_t height, int64_t width,
                  Device device) {
  return line_in_box(Tensor::zeros({height, width}, DType::kF32, device), box,
                     {0, 0, float(value)});
}

Tensor zero_outside(const Tensor& map, const PixelRect& box) { return line_in_box(map, box, {}); }

}  // namespace bbam
