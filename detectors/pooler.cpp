#include "detectors/pooler.h"

#include <algorithm>
#include <cmath>

#include "detectors/boxes.h"

namespace bbam {

Tensor roi_levels(const Tensor& rois, const LevelSpec& spec) {
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

}  // namespace bbam
