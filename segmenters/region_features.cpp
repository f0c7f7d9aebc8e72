#include "segmenters/region_features.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "segmenters/smoothing.h"

namespace bbam {
namespace {

// (H, W, C, 2): how fast the picture changes to the right and downwards, per pixel; at the border
// its pixels go on.
Tensor gradients_of(const Tensor& picture) {
  const Tensor smooth = gaussian_smooth(picture, 1);
  const int64_t height = smooth.dim(0), width = smooth.dim(1), channels = smooth.dim(2);
  Tensor gradients = Tensor::empty({height, width, channels, 2});
  const float* x = smooth.data<float>();
  float* gradient = gradients.mutable_data<float>();
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column)
      for (int64_t c = 0; c < channels; ++c) {
        const auto at = [&](int64_t r, int64_t k) {
          r = std::clamp<int64_t>(r, 0, height - 1), k = std::clamp<int64_t>(k, 0, width - 1);
          return x[(r * width + k) * channels + c];
        };
        *gradient++ = (at(row, column + 1) - at(row, column - 1)) / 2;
        *gradient++ = (at(row + 1, column) - at(row - 1, column)) / 2;
      }
  return gradients;
}

Tensor texture_bins(const Tensor& picture) {
  const Tensor gradients = gradients_of(picture);
  const int64_t channels = picture.dim(2), count = picture.size();
  const float* gradient = gradients.data<float>();
  std::vector<float> greatest(size_t(channels), 0);
  for (int64_t i = 0; i < count; ++i) {
    float& most = greatest[size_t(i % channels)];
    most = std::max(most, std::hypot(gradient[2 * i], gradient[2 * i + 1]));
  }
  float cosine[kOrientations], sine[kOrientations];
  for (int64_t o = 0; o < kOrientations; ++o) {
    const double angle = 2 * std::numbers::pi * double(o) / kOrientations;
    cosine[o] = float(std::cos(angle)), sine[o] = float(std::sin(angle));
  }
  Tensor bins =
      Tensor::empty({picture.dim(0), picture.dim(1), channels, kOrientations}, DType::kU8);
  uint8_t* bin = bins.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const float most = greatest[size_t(i % channels)], scale = most > 0 ? kTextureBins / most : 0;
    for (int64_t o = 0; o < kOrientations; ++o) {
      const float along = cosine[o] * gradient[2 * i] + sine[o] * gradient[2 * i + 1];
      bin[i * kOrientations + o] = uint8_t(std::clamp(along * scale, 0.f, float(kTextureBins - 1)));
    }
  }
  return bins;
}

// Row `label` of the result: how often each of the pixels' `values` bins occurs in that region,
// value k's bins at [k `bins`, (k + 1) `bins`); rows sum to 1.
Tensor histograms(const Segmentation& segmentation, const Tensor& binned, int64_t bins,
                  const std::vector<int64_t>& area_px) {
  const int64_t pixels = segmentation.labels.size(), values = binned.size() / pixels;
  const int32_t* label = segmentation.labels.data<int32_t>();
  const uint8_t* bin = binned.data<uint8_t>();
  std::vector<int32_t> counts(size_t(segmentation.count * values * bins), 0);
  for (int64_t p = 0; p < pixels; ++p) {
    int32_t* row = counts.data() + label[p] * values * bins;
    for (int64_t k = 0; k < values; ++k) ++row[k * bins + bin[p * values + k]];
  }
  Tensor result = Tensor::empty({segmentation.count, values * bins});
  float* share = result.mutable_data<float>();
  for (int64_t i = 0; i < result.size(); ++i)
    share[i] = float(counts[size_t(i)]) / float(values * area_px[size_t(i / (values * bins))]);
  return result;
}

std::vector<std::vector<int32_t>> neighbors_of(const Segmentation& segmentation) {
  const int64_t height = segmentation.labels.dim(0), width = segmentation.labels.dim(1);
  const int32_t* label = segmentation.labels.data<int32_t>();
  std::vector<std::vector<int32_t>> neighbors(size_t(segmentation.count));
  const auto touch = [&](int32_t a, int32_t b) {
    if (a == b) return;
    std::vector<int32_t>& known = neighbors[size_t(a)];
    if (!known.empty() && known.back() == b) return;  // a border is many pixels long
    known.push_back(b);
    neighbors[size_t(b)].push_back(a);
  };
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column) {
      const int32_t* here = label + row * width + column;
      if (column + 1 < width) touch(*here, here[1]);
      if (row + 1 == height) continue;
      touch(*here, here[width]);
      if (column > 0) touch(*here, here[width - 1]);
      if (column + 1 < width) touch(*here, here[width + 1]);
    }
  for (std::vector<int32_t>& list : neighbors) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  return neighbors;
}

}  // namespace

PixelBins bin_pixels(const Tensor& picture) {
  check_shape(picture, {-1, -1, -1}, "bin_pixels: picture");
  Tensor color = Tensor::empty(picture.shape(), DType::kU8);
  const float* x = picture.data<float>();
  uint8_t* bin = color.mutable_data<uint8_t>();
  for (int64_t i = 0; i < picture.size(); ++i)
    bin[i] = uint8_t(std::clamp(x[i] * float(kColorBins) / 256, 0.f, float(kColorBins - 1)));
  return {color, texture_bins(picture)};
}

Regions describe_regions(const Segmentation& segmentation, const PixelBins& bins) {
  const int64_t height = segmentation.labels.dim(0), width = segmentation.labels.dim(1);
  check_shape(bins.color, {height, width, -1}, "describe_regions: bins");
  const auto count = size_t(segmentation.count);
  const int32_t* label = segmentation.labels.data<int32_t>();
  Regions regions;
  regions.picture_px = height * width;
  regions.area_px.assign(count, 0);
  regions.bounds.assign(count, {width, height, 0, 0});
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const auto region = size_t(label[y * width + x]);
      PixelBounds& b = regions.bounds[region];
      b = {std::min(b.x0, x), std::min(b.y0, y), std::max(b.x1, x + 1), std::max(b.y1, y + 1)};
      ++regions.area_px[region];
    }
  regions.color = histograms(segmentation, bins.color, kColorBins, regions.area_px);
  regions.texture = histograms(segmentation, bins.texture, kTextureBins, regions.area_px);
  regions.neighbors = neighbors_of(segmentation);
  return regions;
}

}  // namespace bbam
