#include "attribution/faithfulness.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "attribution/masks.h"
#include "attribution/perturb.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

enum class Taken { kDeleted, kInserted };

// (H, W) i64: the place of each pixel in the order in which they are taken.
Tensor ranks_of(const Tensor& map) {
  const Tensor order = argsort(map.reshape({map.size()}), true);
  return argsort(order).reshape(map.shape());  // the inverse of a permutation
}

// Appends the answers for each of these images.
void append_answers(ExplainedDetector& detector, const Variable& images,
                    const ObjectProposals& object, FaithfulnessCurve& curve) {
  const Tensor rois = object.rois(images.dim(0), images.device());
  const BoxPredictions predictions = detector.predict(images, rois);
  const Tensor labels = label_of_each_row(predictions, object.label);
  const auto p =
      probabilities_of(predictions, labels).value().to(kCpu).cast(DType::kF64).to_vector<double>();
  const Tensor offsets = offsets_of(predictions, labels).value().to(kCpu).cast(DType::kF32);
  const Tensor proposals = slice(rois.to(kCpu), 1, 1, 5).value();
  const auto boxes =
      detector.decode(offsets, proposals, images.dim(1), images.dim(2)).to_vector<float>();
  const auto rows = size_t(object.proposals.dim(0));
  for (size_t begin = 0; begin < p.size(); begin += rows) {
    double probability = 0, overlap = 0;
    for (size_t r = begin; r < begin + rows; ++r) {
      probability += p[r];
      const Box<float> box = box_at(boxes.data(), int64_t(r));
      overlap += iou(Box<double>{box.x0, box.y0, box.x1, box.y1}, as_box(object.box));
    }
    curve.probability.push_back(probability / double(rows));
    curve.iou.push_back(overlap / double(rows));
  }
}

double area_under(const std::vector<double>& values) {
  double sum = 0;
  for (size_t i = 1; i < values.size(); ++i) sum += (values[i - 1] + values[i]) / 2;
  return sum / double(values.size() - 1);
}

FaithfulnessCurve curve_of(ExplainedDetector& detector, const Tensor& image, const Tensor& map,
                           const ObjectProposals& object, const FaithfulnessSpec& spec,
                           Taken taken) {
  check_shape(image, {1, -1, -1, 3}, "faithfulness: image");
  check_shape(map, {image.dim(1), image.dim(2)}, "faithfulness: map");
  check(spec.steps >= 1 && spec.batch >= 1, "faithfulness: ", spec.steps, " steps, ", spec.batch,
        " at once; expected 1 or more");
  check(object.proposals.dim(0) > 0, "faithfulness: an object without proposals");
  const NoGrad frozen;
  const Tensor ranks = ranks_of(map.to(image.device()));
  const int64_t pixels = map.size();
  FaithfulnessCurve curve;
  std::vector<RankRange> kept;
  for (int step = 0; step <= spec.steps; ++step) {
    const int64_t count = step * pixels / spec.steps;
    kept.push_back(taken == Taken::kDeleted ? RankRange{count, pixels} : RankRange{0, count});
    if (int(kept.size()) < spec.batch && step < spec.steps) continue;
    const Tensor masks = ranked_masks(ranks, kept).cast(image.dtype());
    append_answers(detector, perturb(image, masks), object, curve);
    kept.clear();
  }
  curve.probability_area = area_under(curve.probability);
  curve.iou_area = area_under(curve.iou);
  return curve;
}

struct Pixel {
  int64_t x, y;
};

// The first of the greatest values; nothing in a constant map.
std::optional<Pixel> greatest_of(const Tensor& map) {
  check_shape(map, {-1, -1}, "points_at: map");
  const auto values = map.to(kCpu).to_vector<float>();
  if (values.empty()) return {};
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (!(*least < *greatest)) return {};
  const int64_t i = std::max_element(values.begin(), values.end()) - values.begin();
  return Pixel{i % map.dim(1), i / map.dim(1)};
}

}  // namespace

FaithfulnessCurve deletion_curve(ExplainedDetector& detector, const Tensor& image,
                                 const Tensor& map, const ObjectProposals& object,
                                 const FaithfulnessSpec& spec) {
  return curve_of(detector, image, map, object, spec, Taken::kDeleted);
}

FaithfulnessCurve insertion_curve(ExplainedDetector& detector, const Tensor& image,
                                  const Tensor& map, const ObjectProposals& object,
                                  const FaithfulnessSpec& spec) {
  return curve_of(detector, image, map, object, spec, Taken::kInserted);
}

bool points_at(const Tensor& map, const Tensor& mask, double tolerance_px) {
  const auto greatest = greatest_of(map);
  check_shape(mask, {map.dim(0), map.dim(1)}, "points_at: mask");
  if (!greatest) return false;
  const auto inside = mask.to(kCpu).to_vector<uint8_t>();
  for (int64_t i = 0; i < mask.size(); ++i) {
    const auto dx = double(i % mask.dim(1) - greatest->x),
               dy = double(i / mask.dim(1) - greatest->y);
    if (inside[size_t(i)] && dx * dx + dy * dy <= tolerance_px * tolerance_px) return true;
  }
  return false;
}

bool points_at(const Tensor& map, const BoxArray& box, double tolerance_px) {
  const auto greatest = greatest_of(map);
  if (!greatest) return false;
  const double x = double(greatest->x) + 0.5, y = double(greatest->y) + 0.5;
  const double dx = std::max({double(box[0]) - x, x - double(box[2]), 0.0});
  const double dy = std::max({double(box[1]) - y, y - double(box[3]), 0.0});
  return std::hypot(dx, dy) <= tolerance_px;
}

}  // namespace bbam
