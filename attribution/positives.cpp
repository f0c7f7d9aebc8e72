#include "attribution/positives.h"

#include <algorithm>
#include <cmath>

#include "detectors/roi_heads.h"
#include "tensor/random.h"

namespace bbam {
namespace {

// A host matrix of f32, for picking rows and columns.
struct Matrix {
  std::vector<float> values;
  int64_t width;

  explicit Matrix(const Tensor& tensor)
      : values(tensor.to(kCpu).to_vector<float>()), width(tensor.dim(1)) {}
  const float* row(int64_t r) const { return values.data() + r * width; }
  // Columns [begin, begin + count) of the given rows.
  Tensor pick(const std::vector<int64_t>& rows, int64_t begin, int64_t count) const {
    std::vector<float> picked;
    for (const int64_t r : rows)
      picked.insert(picked.end(), row(r) + begin, row(r) + begin + count);
    return Tensor::from(picked, {int64_t(rows.size()), count});
  }
};

// IoU of each regressed box with the object's; -1 where another class is more likely.
std::vector<double> overlaps_of(const Matrix& p, const Matrix& regressed, const BoxArray& box,
                                int64_t label, bool truncate) {
  const auto compared = [truncate](const float* sides) {
    BoxArray array;
    for (size_t side = 0; side < 4; ++side)
      array[side] = truncate ? std::trunc(sides[side]) : sides[side];
    return as_box(array);
  };
  std::vector<double> overlaps;
  for (int64_t r = 0; r * 4 < int64_t(regressed.values.size()); ++r) {
    const bool is_label = std::max_element(p.row(r), p.row(r) + p.width) - p.row(r) == label;
    overlaps.push_back(is_label ? iou(compared(regressed.row(r)), compared(box.data())) : -1);
  }
  return overlaps;
}

}  // namespace

Tensor jittered_proposals(const BoxArray& box, int64_t height, int64_t width,
                          const PositiveSpec& spec, uint64_t seed) {
  const double extent[2]{double(box[2]) - box[0], double(box[3]) - box[1]};
  const double limit[2]{double(width), double(height)};
  std::vector<float> proposals;
  RandomSequence random(seed, 31);
  for (int64_t i = 0; i < spec.proposals; ++i) {
    double sides[4];
    for (int side = 0; side < 4; ++side) {
      const double shift = extent[side % 2] * random.uniform(-spec.jitter, spec.jitter);
      sides[side] = std::clamp(box[size_t(side)] + shift, 0.0, limit[side % 2]);
    }
    for (int side = 0; side < 4; ++side) {
      const double a = sides[side % 2], b = sides[side % 2 + 2];
      proposals.push_back(float(side < 2 ? std::min(a, b) : std::max(a, b)));
    }
  }
  return Tensor::from(proposals, {spec.proposals, 4});
}

Positives select_positives(const ExplainedDetector& detector, const BoxPredictions& predictions,
                           const Tensor& proposals, const BoxArray& box, int64_t label,
                           int64_t height, int64_t width, const PositiveSpec& spec) {
  const NoGrad frozen;
  const int64_t count = proposals.dim(0);
  const Matrix p(class_probabilities(predictions).value());
  const int64_t classes = p.width;
  check(label >= 1 && label < classes, "class ", label, "; the detector knows 1 to ", classes - 1);
  check(!spec.iou_thresholds.empty(), "no IoU threshold for positive proposals");
  const Tensor label_of_row = Tensor::full({count}, double(label), DType::kI64);
  const Matrix t(offsets_of(predictions, label_of_row).value()), boxes(proposals);
  std::vector<int64_t> all(static_cast<size_t>(count)), kept;
  for (int64_t r = 0; r < count; ++r) all[size_t(r)] = r;
  const Matrix regressed(detector.decode(t.pick(all, 0, 4), boxes.pick(all, 0, 4), height, width));
  const auto overlaps = overlaps_of(p, regressed, box, label, spec.truncate_boxes);

  Positives positives;
  for (const double threshold : spec.iou_thresholds) {
    kept.clear();
    for (const int64_t r : all)
      if (overlaps[size_t(r)] > threshold) kept.push_back(r);
    positives.iou_threshold = threshold;
    if (int64_t(kept.size()) > spec.enough) break;
  }
  if (spec.most > 0 && int64_t(kept.size()) > spec.most) kept.resize(size_t(spec.most));
  for (const int64_t r : kept) positives.mean_iou += overlaps[size_t(r)] / double(kept.size());
  positives.proposals = boxes.pick(kept, 0, 4);
  positives.regressed = regressed.pick(kept, 0, 4);
  positives.offsets = t.pick(kept, 0, 4);
  positives.probabilities = p.pick(kept, label, 1).reshape({int64_t(kept.size())});
  return positives;
}

Positives find_positives(ExplainedDetector& detector, const Tensor& image, const BoxArray& box,
                         int64_t label, const PositiveSpec& spec, uint64_t seed) {
  const NoGrad frozen;
  const int64_t height = image.dim(1), width = image.dim(2);
  const Tensor proposals = detector.candidates(box, height, width, spec, seed);
  const BoxPredictions whole = detector.predict(image, rois_of({proposals}).to(image.device()));
  return select_positives(detector, whole, proposals, box, label, height, width, spec);
}

ObjectProposals ObjectProposals::of_box(const BoxArray& box, int64_t label) {
  return {box, label, Tensor::from<float>({box[0], box[1], box[2], box[3]}, {1, 4})};
}

Tensor ObjectProposals::rois(int64_t images, Device device) const {
  return rois_of(std::vector<Tensor>(size_t(images), proposals)).to(device);
}

}  // namespace bbam
