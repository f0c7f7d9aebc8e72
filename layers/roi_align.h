// RoIAlign (He et al. 2017, Mask R-CNN, section 3): the features under a box, resampled to a fixed
// grid of bins. Each bin is the mean of bilinear samples at regular places inside it.
//
// rois: (R, 5) f32 = image index, x0, y0, x1, y1 in pixels of the image; features: (N, H, W, C) f32
// or f64; result: (R, out_h, out_w, C), in the order of the RoIs. Gradients go to the features
// only, overwrite, and are gathered by each feature pixel over the RoIs in order: the same bytes
// for any number of threads, and no atomics. Features that no RoI reads receive no gradient at all,
// so what made them need not be differentiated.
// Errors: wrong shapes or types, an image or level out of range, a coordinate that is not finite or
// beyond a million pixels. The RoIs are looked at on the host: a GPU is waited for.
#pragma once
#include <vector>

#include "autograd/variable.h"
#include "layers/window.h"

namespace bbam {

struct RoiAlignSpec {
  int out_h = 7, out_w = 7;
  int sampling_ratio = 2;  // samples per bin and axis; 0: one per feature pixel, rounded up
  // false, the legacy alignment (METHOD B1): sample k of the features is at k, and a RoI is at
  // least one feature pixel wide and high. true: it is at k + 1/2, and RoIs may be of any size.
  bool aligned = false;
};

// spatial_scale: feature pixels per image pixel.
Variable roi_align(const Variable& features, const Tensor& rois, double spatial_scale,
                   const RoiAlignSpec& spec = {});

// features: up to 8 pyramid levels of one N and C, each with its scale; level_of_roi: (R) i32 or
// i64, the level that each RoI reads.
Variable roi_align_levels(const std::vector<Variable>& features, const std::vector<double>& scales,
                          const Tensor& rois, const Tensor& level_of_roi,
                          const RoiAlignSpec& spec = {});

// For each image of a level, the smallest window of its features, (N, H, W, C), that the RoIs of
// that level read: outside it the features may be anything.
std::vector<Window> roi_align_windows(const Shape& features, double spatial_scale,
                                      const Tensor& rois, const Tensor& level_of_roi, int64_t level,
                                      const RoiAlignSpec& spec = {});

}  // namespace bbam
