#include <doctest/doctest.h>

#include <cmath>

#include "attribution/positives.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"

using namespace bbam;
using test::close_to;

namespace {

// Predictions written down by hand: row r has class `labels[r]` and moves no box.
BoxPredictions fixed_predictions(const std::vector<int>& labels) {
  std::vector<float> logits;
  for (const int label : labels)
    for (int c = 0; c < 3; ++c) logits.push_back(c == label ? 2.f : 0.f);
  const auto rows = int64_t(labels.size());
  return {Variable(Tensor::from(logits, {rows, 3})), Variable(Tensor::zeros({rows, 12}))};
}

// Boxes as wide as the object and the given fraction of its height: their IoU is that fraction.
Tensor boxes_with_iou(const std::vector<float>& fractions) {
  std::vector<float> boxes;
  for (const float f : fractions) boxes.insert(boxes.end(), {10, 20, 110, 20 + 100 * f});
  return Tensor::from(boxes, {int64_t(fractions.size()), 4});
}

constexpr BoxArray kBox{10, 20, 110, 120};

}  // namespace

TEST_CASE("positives: METHOD A5, proposals jitter each side by up to 30 % and stay in the image") {
  const PositiveSpec spec;
  const Tensor proposals = jittered_proposals({40, 60, 140, 110}, 200, 300, spec, 7);
  CHECK(proposals.shape() == Shape{1000, 4});
  const auto p = proposals.to_vector<float>();
  float least[4]{1e9f, 1e9f, 1e9f, 1e9f}, most[4]{};
  for (size_t i = 0; i < p.size(); ++i) {
    least[i % 4] = std::min(least[i % 4], p[i]);
    most[i % 4] = std::max(most[i % 4], p[i]);
  }
  const float centre[4]{40, 60, 140, 110}, reach[4]{30, 15, 30, 15};
  for (int side = 0; side < 4; ++side) {
    CHECK(least[side] >= centre[side] - reach[side]);
    CHECK(most[side] <= centre[side] + reach[side]);
    CHECK(least[side] < centre[side] - 0.97f * reach[side]);
    CHECK(most[side] > centre[side] + 0.97f * reach[side]);
  }
  const auto clipped = jittered_proposals({0, 0, 300, 200}, 200, 300, spec, 7).to_vector<float>();
  for (size_t i = 0; i < clipped.size(); ++i)
    CHECK((clipped[i] >= 0 && clipped[i] <= (i % 2 ? 200 : 300)));
  CHECK(jittered_proposals(kBox, 200, 300, spec, 8).to_vector<float>() !=
        jittered_proposals(kBox, 200, 300, spec, 9).to_vector<float>());
}

TEST_CASE(
    "positives: METHOD A5, the class must be the label and the regressed box overlap by more than "
    "0.8") {
  const test::ToyDetector detector;
  const auto predictions = fixed_predictions({1, 1, 2, 1, 0});
  const Tensor proposals = boxes_with_iou({0.95f, 0.75f, 1.f, 0.85f, 1.f});
  const Positives positives =
      select_positives(detector, predictions, proposals, kBox, 1, 200, 300, {});
  CHECK(positives.proposals.dim(0) == 2);
  CHECK(positives.proposals.to_vector<float>()[3] == close_to(115, 1e-6));
  CHECK(positives.proposals.to_vector<float>()[7] == close_to(105, 1e-6));
  CHECK(positives.iou_threshold == 0.8);
  CHECK(positives.mean_iou == close_to(0.9, 1e-5));
  const double p = std::exp(2.0) / (std::exp(2.0) + 2);
  CHECK(positives.probabilities.to_vector<float>()[0] == close_to(p, 1e-6));
}

TEST_CASE(
    "positives: METHOD A5, the authors try 0.9, 0.85 and 0.8 until enough pass and keep the "
    "first") {
  const test::ToyDetector detector;
  PositiveSpec spec{.iou_thresholds = {0.9, 0.85, 0.8}, .enough = 2, .most = 2};
  const Tensor proposals = boxes_with_iou({0.82f, 0.95f, 0.87f, 0.92f, 0.88f});
  const auto predictions = fixed_predictions({1, 1, 1, 1, 1});
  const Positives few = select_positives(detector, predictions, proposals, kBox, 1, 200, 300, spec);
  CHECK(few.iou_threshold == 0.85);  // 0.9 leaves two, which is not more than two
  CHECK(few.proposals.dim(0) == 2);
  CHECK(few.proposals.to_vector<float>()[3] == close_to(115, 1e-6));
  CHECK(few.proposals.to_vector<float>()[7] == close_to(107, 1e-6));
  spec.enough = 1;
  CHECK(select_positives(detector, predictions, proposals, kBox, 1, 200, 300, spec).iou_threshold ==
        0.9);
}

TEST_CASE("positives: METHOD A5, the authors compare boxes truncated to whole pixels") {
  const test::ToyDetector detector;
  const auto predictions = fixed_predictions({1});
  const Tensor proposals = boxes_with_iou({0.808f});  // truncated: 0.80, not above 0.8
  PositiveSpec spec;
  CHECK(select_positives(detector, predictions, proposals, kBox, 1, 200, 300, spec)
            .proposals.dim(0) == 1);
  spec.truncate_boxes = true;
  CHECK(select_positives(detector, predictions, proposals, kBox, 1, 200, 300, spec)
            .proposals.dim(0) == 0);
  // The object's box as well: what is the same box in whole pixels overlaps wholly.
  constexpr BoxArray kBetween{10.9f, 20.9f, 110.2f, 120.2f};
  spec.iou_thresholds = {0.99};
  const Tensor same = Tensor::from<float>({10.1f, 20.1f, 110.9f, 120.9f}, {1, 4});
  const auto positives = [&] {
    return select_positives(detector, predictions, same, kBetween, 1, 200, 300, spec)
        .proposals.dim(0);
  };
  CHECK(positives() == 1);
  spec.truncate_boxes = false;
  CHECK(positives() == 0);
}

TEST_CASE("positives: a class that the detector does not know is refused") {
  const test::ToyDetector detector;
  CHECK_THROWS_WITH_AS(select_positives(detector, fixed_predictions({1}), boxes_with_iou({1}), kBox,
                                        3, 200, 300, {}),
                       "class 3; the detector knows 1 to 2", Error);
}
