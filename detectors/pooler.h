// Which level of the feature pyramid a region is pooled from, and the pooling
// [Lin 2017, FPN, equation 1; He 2017, Mask R-CNN, section 3].
#pragma once
#include <vector>

#include "autograd/variable.h"
#include "layers/window.h"

namespace bbam {

struct PoolerSpec {
  int bins = 7;                      // per side, METHOD B1
  int samples = 2;                   // per side of a bin, METHOD B1
  int64_t finest = 2, coarsest = 5;  // P2 to P5, strides 4 to 32
  double canonical_size_px = 224;    // of a region that belongs on canonical_level
  int64_t canonical_level = 4;
};

// (R) i64: the level of each RoI, counted from `finest`, from rois: (R, 5) of image, x0, y0, x1,
// y1: floor(canonical_level + log2(sqrt(area) / canonical_size_px + 1e-6)), within the levels there
// are. In half-open boxes the area is METHOD B1's "area with +1".
Tensor roi_levels(const Tensor& rois, const PoolerSpec& spec);

// For P2..P5 of these shapes, (N, H, W, C), the windows of each image that pool() reads.
std::vector<std::vector<Window>> pool_windows(const std::vector<Shape>& features,
                                              const Tensor& rois, const PoolerSpec& spec,
                                              bool legacy_plus_one);

// (R, bins, bins, C) from features P2..P5, (N, H, W, C) each, of which only those that a RoI lies
// on need be defined, and rois: (R, 5). Gradients flow to the features. Under legacy_plus_one
// RoIAlign is handed the last pixel as the corner; its grid is not shifted by half a pixel in
// either case.
Variable pool(const std::vector<Variable>& features, const Tensor& rois, const PoolerSpec& spec,
              bool legacy_plus_one);

}  // namespace bbam
