#include "segmenters/color_spaces.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bbam {
namespace {

// sRGB's values 0 ... 255 as shares of linear light (IEC 61966-2-1).
const std::array<double, 256>& linear_light() {
  static const std::array<double, 256> table = [] {
    std::array<double, 256> values{};
    for (int i = 0; i < 256; ++i) {
      const double v = i / 255.0;
      values[size_t(i)] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
    }
    return values;
  }();
  return table;
}

// CIE's f(t) of L*a*b*.
double lab_root(double t) {
  return t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

void lab(const uint8_t* rgb, float* y) {
  const double r = linear_light()[rgb[0]], g = linear_light()[rgb[1]], b = linear_light()[rgb[2]];
  const double fx = lab_root((0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047);
  const double fy = lab_root(0.212671 * r + 0.715160 * g + 0.072169 * b);
  const double fz = lab_root((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883);
  const auto to_byte = [](double v) { return float(std::clamp(v, 0.0, 255.0)); };
  y[0] = to_byte(2.55 * (116 * fy - 16));
  y[1] = to_byte(500 * (fx - fy) + 128);
  y[2] = to_byte(200 * (fy - fz) + 128);
}

// Hue, 0 to 255.
float hue(const uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), range = most - std::min({r, g, b});
  if (range == 0) return 0;
  const double sixths = most == r   ? double(g - b) / range
                        : most == g ? 2 + double(b - r) / range
                                    : 4 + double(r - g) / range;
  return float(255.0 / 6 * (sixths < 0 ? sixths + 6 : sixths));
}

void hsv(const uint8_t* rgb, float* y) {
  const int most = std::max({rgb[0], rgb[1], rgb[2]}), least = std::min({rgb[0], rgb[1], rgb[2]});
  y[0] = hue(rgb);
  y[1] = most == 0 ? 0.f : 255.f * float(most - least) / float(most);
  y[2] = float(most);
}

float intensity(const uint8_t* rgb) { return float(rgb[0] + rgb[1] + rgb[2]) / 3; }

void normalized_rg(const uint8_t* rgb, float* y) {
  const int sum = rgb[0] + rgb[1] + rgb[2];
  y[0] = sum == 0 ? 85.f : 255.f * float(rgb[0]) / float(sum);
  y[1] = sum == 0 ? 85.f : 255.f * float(rgb[1]) / float(sum);
  y[2] = intensity(rgb);
}

void convert(const uint8_t* rgb, ColorSpace space, float* y) {
  switch (space) {
    case ColorSpace::kRgb: std::copy(rgb, rgb + 3, y); return;
    case ColorSpace::kIntensity: y[0] = intensity(rgb); return;
    case ColorSpace::kLab: lab(rgb, y); return;
    case ColorSpace::kRgI: normalized_rg(rgb, y); return;
    case ColorSpace::kHsv: hsv(rgb, y); return;
    case ColorSpace::kHue: y[0] = hue(rgb); return;
  }
  fail("to_color_space: no such colour space");
}

}  // namespace

const char* to_string(ColorSpace space) {
  switch (space) {
    case ColorSpace::kRgb: return "rgb";
    case ColorSpace::kIntensity: return "intensity";
    case ColorSpace::kLab: return "lab";
    case ColorSpace::kRgI: return "rgi";
    case ColorSpace::kHsv: return "hsv";
    case ColorSpace::kHue: return "hue";
  }
  return "?";
}

Tensor to_color_space(const Tensor& rgb, ColorSpace space) {
  check_shape(rgb, {-1, -1, 3}, "to_color_space: picture");
  check(rgb.device().is_cpu(), "to_color_space: picture is ", rgb, "; expected it on the CPU");
  const bool is_single = space == ColorSpace::kIntensity || space == ColorSpace::kHue;
  const int64_t channels = is_single ? 1 : 3, pixels = rgb.dim(0) * rgb.dim(1);
  Tensor result = Tensor::empty({rgb.dim(0), rgb.dim(1), channels});
  const uint8_t* x = rgb.data<uint8_t>();
  float* y = result.mutable_data<float>();
  for (int64_t p = 0; p < pixels; ++p) convert(x + 3 * p, space, y + channels * p);
  return result;
}

}  // namespace bbam
