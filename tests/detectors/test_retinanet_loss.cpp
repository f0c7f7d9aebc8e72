#include "detectors/retinanet_loss.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// Two levels of 4 x 5 and 2 x 3 cells with six anchors each: K = 120 + 36.
const AnchorSpec kAnchors{.sizes_px = {14, 28}, .strides_px = {8, 16}, .scales = {1, 1.3}};
constexpr int64_t kPerCell = 6, kPerImage = 156, kClasses = 3;

std::vector<Tensor> anchors() {
  return {grid_anchors(kAnchors, 0, 4, 5), grid_anchors(kAnchors, 1, 2, 3)};
}

std::vector<float> corners_of_all() {
  std::vector<float> corners;
  for (const Tensor& level : anchors()) {
    const auto values = level.to_vector<float>();
    corners.insert(corners.end(), values.begin(), values.end());
  }
  return corners;
}

// The first image: three boxes, the last so small that no anchor overlaps it by half. The second:
// none. The third: one.
std::vector<GroundTruth> truth() {
  return {{Tensor::from<float>({3, 2, 20, 16, 8, 4, 38, 30, 30, 20, 34, 24}, {3, 4}),
           Tensor::from<int64_t>({2, 1, 3})},
          {Tensor::zeros({0, 4}), Tensor::zeros({0}, DType::kI64)},
          {Tensor::from<float>({12, 10, 30, 28}, {1, 4}), Tensor::from<int64_t>({3})}};
}

RetinaNetOutput random_output(uint64_t seed) {
  RetinaNetOutput output;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{4, 5}, {2, 3}}) {
    output.class_logits.emplace_back(
        test::random_tensor({3, height, width, kPerCell * kClasses}, ++seed, -3, 3));
    output.deltas.emplace_back(test::random_tensor({3, height, width, kPerCell * 4}, ++seed));
  }
  return output;
}

// Of anchor k of image n: element `part` of `size` of a head's answers.
double answer(const std::vector<Variable>& levels, int64_t row, int64_t size, int64_t part) {
  const int64_t n = row / kPerImage, k = row % kPerImage;
  const bool is_first = k < 120;
  const int64_t at = is_first ? n * 120 + k : n * 36 + k - 120;
  return levels[is_first ? 0 : 1].value().data<double>()[at * size + part];
}

struct Plain {
  std::vector<int64_t> labels;  // by row
  std::vector<int64_t> box;     // of positives: which of their image
};

// Lin et al., section 4, "Anchors": IoU of at least 0.5 with a box is foreground, less than 0.4
// background; and every box has at least the anchors that overlap it most.
Plain plain_targets() {
  const auto corners = corners_of_all();
  Plain plain;
  for (const GroundTruth& image : truth()) {
    const auto boxes = image.boxes.to_vector<float>();
    const auto classes = image.labels.to_vector<int64_t>();
    std::vector<std::vector<float>> overlap(classes.size());
    std::vector<float> highest(classes.size(), 0);
    for (size_t g = 0; g < classes.size(); ++g)
      for (int64_t k = 0; k < kPerImage; ++k) {
        const Box<float> a = box_at(boxes.data(), int64_t(g)), b = box_at(corners.data(), k);
        const float w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
        const float h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
        const float common = w > 0 && h > 0 ? w * h : 0;
        const float either = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - common;
        overlap[g].push_back(common / either);
        highest[g] = std::max(highest[g], overlap[g].back());
      }
    for (size_t k = 0; k < size_t(kPerImage); ++k) {
      size_t best = 0;
      bool is_best_of_some = false;
      for (size_t g = 0; g < classes.size(); ++g) {
        if (overlap[g][k] > overlap[best][k]) best = g;
        is_best_of_some |= overlap[g][k] == highest[g];
      }
      const float iou = classes.empty() ? 0 : overlap[best][k];
      const bool is_positive = iou >= 0.5f || is_best_of_some;
      plain.labels.push_back(is_positive ? classes[best] : iou < 0.4f ? 0 : -1);
      plain.box.push_back(int64_t(best));
    }
  }
  return plain;
}

// The row's share of each sum.
double share_of(const Plain& plain, int64_t row, LossShare share, bool of_boxes) {
  double all = 0, of_image = 0;
  for (int64_t i = 0; i < int64_t(plain.labels.size()); ++i)
    if (plain.labels[size_t(i)] > 0) {
      all += 1;
      of_image += i / kPerImage == row / kPerImage;
    }
  if (share == LossShare::kImage) return 1 / (3 * std::max(1.0, of_image));
  return of_boxes ? 1 / all : 1 / (all + 3);
}

}  // namespace

TEST_CASE("retinanet: METHOD B1, constants of the loss") {
  const RetinaNetLossSpec spec;
  CHECK(spec.matcher.foreground_iou == 0.5);
  CHECK(spec.matcher.background_iou == 0.4);
  CHECK(spec.matcher.low_quality_matches);
  CHECK(spec.alpha == 0.25);
  CHECK(spec.gamma == 2);
  CHECK(spec.beta == 0.11);
  CHECK(spec.box_weight == 1.0 / 4);
  CHECK(spec.coder.weights == std::array<double, 4>{10, 10, 5, 5});
}

TEST_CASE("retinanet: METHOD B1, every anchor's target against a plain assignment") {
  const RetinaNetTargets targets = retinanet_targets(anchors(), truth(), {});
  const Plain plain = plain_targets();
  CHECK(targets.labels.to_vector<int64_t>() == plain.labels);
  for (const int64_t label : {-1, 0, 1, 2, 3})  // the scene has all of them
    CHECK(std::count(plain.labels.begin(), plain.labels.end(), label) > 0);

  const auto rows = targets.positive_rows.to_vector<int64_t>();
  const auto offsets = targets.offsets.to_vector<float>();
  const auto corners = corners_of_all();
  std::vector<int64_t> positive;
  for (size_t i = 0; i < plain.labels.size(); ++i)
    if (plain.labels[i] > 0) positive.push_back(int64_t(i));
  REQUIRE(rows == positive);
  for (size_t p = 0; p < rows.size(); ++p) {
    const size_t image = size_t(rows[p] / kPerImage);
    const auto boxes = truth()[image].boxes.to_vector<float>();
    const Box<float> box = box_at(boxes.data(), plain.box[size_t(rows[p])]);
    const Box<float> anchor = box_at(corners.data(), rows[p] % kPerImage);
    const double w = anchor.x1 - anchor.x0, h = anchor.y1 - anchor.y0;
    const double expected[4]{10 * ((box.x0 + box.x1) - (anchor.x0 + anchor.x1)) / 2 / w,
                             10 * ((box.y0 + box.y1) - (anchor.y0 + anchor.y1)) / 2 / h,
                             5 * std::log((box.x1 - box.x0) / w),
                             5 * std::log((box.y1 - box.y0) / h)};
    for (size_t k = 0; k < 4; ++k)
      CHECK(offsets[4 * p + k] == test::close_to(expected[k], 1e-5, 1));
  }
}

TEST_CASE("retinanet: METHOD B1, focal loss over all anchors and smooth L1, divided by positives") {
  const Plain plain = plain_targets();
  const RetinaNetOutput output = random_output(10);
  for (const LossShare share : {LossShare::kBatch, LossShare::kImage}) {
    const RetinaNetLossSpec spec{.box_weight = share == LossShare::kBatch ? 0.25 : 1,
                                 .share = share};
    const RetinaNetTargets targets = retinanet_targets(anchors(), truth(), spec);
    const RetinaNetLosses losses = retinanet_losses(output, targets, kClasses, spec);
    const auto offsets = targets.offsets.to_vector<float>();
    double focal = 0, distance = 0;
    size_t p = 0;
    for (int64_t row = 0; row < 3 * kPerImage; ++row) {
      const int64_t label = plain.labels[size_t(row)];
      for (int64_t c = 1; label >= 0 && c <= kClasses; ++c) {
        const double prob = 1 / (1 + std::exp(-answer(output.class_logits, row, kClasses, c - 1)));
        const double right = c == label ? prob : 1 - prob, alpha = c == label ? 0.25 : 0.75;
        focal -= share_of(plain, row, share, false) * alpha * (1 - right) * (1 - right) *
                 std::log(right);
      }
      if (label <= 0) continue;
      for (int64_t k = 0; k < 4; ++k) {
        const double d =
            std::abs(answer(output.deltas, row, 4, k) - double(offsets[4 * p + size_t(k)]));
        distance += share_of(plain, row, share, true) * spec.box_weight *
                    (d < 0.11 ? d * d / 0.22 : d - 0.055);
      }
      ++p;
    }
    CHECK(losses.classification.value().scalar() == test::close_to(focal, 1e-9));
    CHECK(losses.box.value().scalar() == test::close_to(distance, 1e-9));
    CHECK(losses.total().value().scalar() == test::close_to(focal + distance, 1e-9));
  }
}

TEST_CASE("retinanet: gradients of the losses") {
  const RetinaNetLossSpec spec;
  const RetinaNetTargets targets = retinanet_targets(anchors(), truth(), spec);
  const RetinaNetOutput at = random_output(20);
  const auto result = gradcheck(
      [&](const std::vector<Variable>& v) {
        return retinanet_losses({{v[0], v[1]}, {v[2], v[3]}}, targets, kClasses, spec).total();
      },
      {at.class_logits[0].value(), at.class_logits[1].value(), at.deltas[0].value(),
       at.deltas[1].value()});
  INFO(result.where);
  CHECK(result.worst < 1e-8);
  CHECK(result.checked > 3000);
}

TEST_CASE("retinanet: pictures without boxes teach background alone") {
  const std::vector<GroundTruth> nothing(3, truth()[1]);
  RetinaNetOutput output = random_output(30);
  for (Variable& level : output.deltas) level = Variable(level.value(), true);
  for (const LossShare share : {LossShare::kBatch, LossShare::kImage}) {
    const RetinaNetLossSpec spec{.share = share};
    const RetinaNetTargets targets = retinanet_targets(anchors(), nothing, spec);
    CHECK(targets.positive_rows.size() == 0);
    const RetinaNetLosses losses = retinanet_losses(output, targets, kClasses, spec);
    CHECK(losses.classification.value().scalar() > 0);
    CHECK(losses.box.value().scalar() == 0);
    backward(losses.box);
    for (double value : output.deltas[0].grad().to_vector<double>()) CHECK(value == 0);
  }
}
