// What Selective Search compares regions by [Uijlings 2013, section 3.2]: histograms of colour and
// texture, sizes, bounds and neighbours.
#pragma once
#include <vector>

#include "segmenters/superpixels.h"

namespace bbam {

inline constexpr int64_t kColorBins = 25;    // a channel, from 0 to 255
inline constexpr int64_t kOrientations = 8;  // of gradients, round the circle
inline constexpr int64_t kTextureBins = 10;  // a channel and orientation

// The histogram bins that each pixel of a picture falls into.
struct PixelBins {
  Tensor color;    // (H, W, C) u8
  Tensor texture;  // (H, W, C, kOrientations) u8
};

// picture: (H, W, C) f32 on the CPU, 0 to 255. Texture is the gradient of the picture smoothed with
// a Gaussian of one pixel (central differences), what of it points to each orientation, from 0 to
// the greatest gradient of the channel.
PixelBins bin_pixels(const Tensor& picture);

struct PixelBounds {  // half-open
  int64_t x0, y0, x1, y1;
  int64_t area() const { return (x1 - x0) * (y1 - y0); }
};

struct Regions {
  int64_t picture_px = 0;
  std::vector<int64_t> area_px;
  std::vector<PixelBounds> bounds;
  Tensor color, texture;  // (N, kColorBins C), (N, kOrientations kTextureBins C) f32: rows sum to 1
  std::vector<std::vector<int32_t>> neighbors;  // ascending: which others they touch, corners too
};

// The parts of a segmentation of the picture that was binned.
Regions describe_regions(const Segmentation& segmentation, const PixelBins& bins);

}  // namespace bbam
