#include "detectors/pooler.h"

#include <algorithm>
#include <cmath>

#include "detectors/boxes.h"
#include "layers/elementwise.h"
#include "layers/roi_align.h"

namespace bbam {
namespace {

// Feature pixels per image pixel.
double scale_of(size_t level, const PoolerSpec& spec) {
  return std::ldexp(1.0, -int(spec.finest + int64_t(level)));
}

RoiAlignSpec align_spec(const PoolerSpec& spec) {
  return {.out_h = spec.bins, .out_w = spec.bins, .sampling_ratio = spec.samples, .aligned = false};
}

// The levels that have features, and where each level went among them (-1: not there).
struct Defined {
  std::vector<Variable> features;
  std::vector<double> scales;
  std::vector<int64_t> place;
};

Defined defined_levels(const std::vector<Variable>& features, const PoolerSpec& spec) {
  Defined defined;
  for (size_t level = 0; level < features.size(); ++level) {
    defined.place.push_back(features[level].defined() ? int64_t(defined.features.size()) : -1);
    if (!features[level].defined()) continue;
    defined.features.push_back(features[level]);
    defined.scales.push_back(scale_of(level, spec));
  }
  return defined;
}

Tensor places_of(const Tensor& levels, const Defined& defined, int64_t finest) {
  std::vector<int64_t> places = levels.to(kCpu).to_vector<int64_t>();
  for (int64_t& level : places) {
    const int64_t place = defined.place[size_t(level)];
    check(place >= 0, "pool: a RoI lies on level P", finest + level, ", which was not computed");
    level = place;
  }
  return Tensor::from(places);
}

Tensor to_last_pixels(const Tensor& rois) {
  const Tensor one = Tensor::from<float>({0, 0, 0, 1, 1}).to(rois.device());
  return sub(Variable(rois), Variable(one)).value();
}

}  // namespace

Tensor roi_levels(const Tensor& rois, const PoolerSpec& spec) {
  check_shape(rois, {-1, 5}, "roi_levels: rois");
  const std::vector<double> values = rois.to(kCpu).cast(DType::kF64).to_vector<double>();
  std::vector<int64_t> levels;
  for (size_t i = 0; i < values.size(); i += 5) {
    const Box<double> box{values[i + 1], values[i + 2], values[i + 3], values[i + 4]};
    const double octaves = std::log2(std::sqrt(area(box)) / spec.canonical_size_px + 1e-6);
    const auto level = int64_t(std::floor(double(spec.canonical_level) + octaves));
    levels.push_back(std::clamp(level, spec.finest, spec.coarsest) - spec.finest);
  }
  return Tensor::from(levels).to(rois.device());
}

std::vector<std::vector<Window>> pool_windows(const std::vector<Shape>& features,
                                              const Tensor& rois, const PoolerSpec& spec,
                                              bool legacy_plus_one) {
  const Tensor levels = roi_levels(rois, spec);
  const Tensor corners = legacy_plus_one ? to_last_pixels(rois) : rois;
  std::vector<std::vector<Window>> windows;
  for (size_t level = 0; level < features.size(); ++level)
    windows.push_back(roi_align_windows(features[level], scale_of(level, spec), corners, levels,
                                        int64_t(level), align_spec(spec)));
  return windows;
}

Variable pool(const std::vector<Variable>& features, const Tensor& rois, const PoolerSpec& spec,
              bool legacy_plus_one) {
  check(int64_t(features.size()) == spec.coarsest - spec.finest + 1, "pool: ", features.size(),
        " levels of features; expected P", spec.finest, " to P", spec.coarsest);
  const Defined defined = defined_levels(features, spec);
  const Tensor places = places_of(roi_levels(rois, spec), defined, spec.finest).to(rois.device());
  return roi_align_levels(defined.features, defined.scales,
                          legacy_plus_one ? to_last_pixels(rois) : rois, places, align_spec(spec));
}

}  // namespace bbam
