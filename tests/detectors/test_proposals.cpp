#include "detectors/proposals.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

using Values = std::vector<float>;

constexpr FrameSize kFrame{.height = 100, .width = 200};

Proposals with_scores(const Values& scores) {
  Values boxes;
  for (size_t i = 0; i < scores.size(); ++i)
    boxes.insert(boxes.end(), {float(i), 0, float(i) + 10, 10});
  return {Tensor::from(boxes, {int64_t(scores.size()), 4}), Tensor::from(scores)};
}

ProposalSpec total(int64_t count, TotalOver over) { return {1000, 1000, count, over}; }

double plain_iou(const float* a, const float* b) {
  const double w = std::max(0.0, double(std::min(a[2], b[2]) - std::max(a[0], b[0])));
  const double h = std::max(0.0, double(std::min(a[3], b[3]) - std::max(a[1], b[1])));
  const double area_a = double(a[2] - a[0]) * (a[3] - a[1]);
  const double area_b = double(b[2] - b[0]) * (b[3] - b[1]);
  return w * h / (area_a + area_b - w * h);
}

}  // namespace

TEST_CASE("proposals: METHOD B1, 2000 in training and 1000 in testing, NMS 0.7, min size 0") {
  CHECK(kTrainProposals.pre_nms_top_n == 2000);
  CHECK(kTrainProposals.post_nms_top_n == 2000);
  CHECK(kTrainProposals.total_top_n == 2000);
  CHECK(kTrainProposals.total_over == TotalOver::kBatch);
  CHECK(kTestProposals.pre_nms_top_n == 1000);
  CHECK(kTestProposals.post_nms_top_n == 1000);
  CHECK(kTestProposals.total_top_n == 1000);
  CHECK(kTestProposals.total_over == TotalOver::kImage);
  for (const ProposalSpec& spec : {kTrainProposals, kTestProposals}) {
    CHECK(spec.nms_iou == 0.7);
    CHECK(spec.min_side_px == 0);
  }
}

TEST_CASE("proposals: one level by hand") {
  // Anchors 20 x 20 at x = 0, 2, 50, 190; the second overlaps the first by 18 / 22 > 0.7.
  const Tensor anchors =
      Tensor::from<float>({0, 0, 20, 20, 2, 0, 22, 20, 50, 0, 70, 20, 190, 0, 210, 20}, {4, 4});
  const Tensor scores = Tensor::from<float>({1, 2, 0, 3});
  // The third is moved right by half its width and made twice as high.
  Values deltas(16, 0);
  deltas[8] = 0.5f;
  deltas[11] = std::log(2.0f);
  for (Device device : available_devices()) {
    const auto on_level = [&](const ProposalSpec& spec) {
      const Proposals got =
          propose_on_level(scores.to(device), Tensor::from(deltas, {4, 4}).to(device),
                           anchors.to(device), kFrame, spec, false);
      return std::pair(got.boxes.to(kCpu), got.scores.to(kCpu).to_vector<float>());
    };
    const auto [boxes, kept] = on_level(kTestProposals);
    CHECK(kept == Values{3, 2, 0});  // score 1 was suppressed
    const Values corners = boxes.to_vector<float>();
    const Values expected{190, 0, 200, 20, 2, 0, 22, 20, 60, 0, 80, 30};  // clipped
    REQUIRE(corners.size() == expected.size());
    for (size_t k = 0; k < corners.size(); ++k)
      CHECK(corners[k] == test::close_to(expected[k], 1e-6));

    CHECK(on_level({2, 10, 10, TotalOver::kImage}).second == Values{3, 2});            // before NMS
    CHECK(on_level({10, 1, 10, TotalOver::kImage}).second == Values{3});               // after it
    CHECK(on_level({10, 10, 10, TotalOver::kImage, 0.7, 15}).second == Values{2, 0});  // 10 wide
    CHECK(on_level({10, 10, 10, TotalOver::kImage, 0.9}).second == Values{3, 2, 1, 0});
  }
}

TEST_CASE("proposals: METHOD B1, top-N over the whole batch in training, per image in testing") {
  const std::vector<Proposals> images{with_scores({9, 1, 8}), with_scores({0, 7}), with_scores({})};
  const auto batch = keep_best(images, total(3, TotalOver::kBatch));
  REQUIRE(batch.size() == 3);
  CHECK(batch[0].scores.to_vector<float>() == Values{9, 8});
  CHECK(batch[0].boxes.to_vector<float>() == Values{0, 0, 10, 10, 2, 0, 12, 10});
  CHECK(batch[1].scores.to_vector<float>() == Values{7});
  CHECK(batch[2].scores.size() == 0);

  const auto single = keep_best(images, total(2, TotalOver::kImage));
  CHECK(single[0].scores.to_vector<float>() == Values{9, 8});
  CHECK(single[1].scores.to_vector<float>() == Values{7, 0});
  CHECK(single[2].boxes.shape() == Shape{0, 4});
}

TEST_CASE("proposals: agrees with greedy suppression written out") {
  const int64_t count = 300;
  Values anchors = test::random_tensor({count, 4}, 21, 0, 80).cast(DType::kF32).to_vector<float>();
  for (size_t i = 0; i < anchors.size(); i += 4) {
    anchors[i + 2] = anchors[i] + 10 + anchors[i + 2] / 4;
    anchors[i + 3] = anchors[i + 1] + 10 + anchors[i + 3] / 4;
  }
  const Tensor scores = test::distinct_tensor({count}, 22).cast(DType::kF32);
  const ProposalSpec spec{200, 50, 50, TotalOver::kImage, 0.5};
  const Proposals got =
      propose_on_level(scores, Tensor::zeros({count, 4}), Tensor::from(anchors, {count, 4}),
                       {.height = 1000, .width = 1000}, spec, true);

  const Values value = scores.to_vector<float>();
  std::vector<size_t> order(value.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return value[a] > value[b]; });
  order.resize(200);
  Values expected;
  std::vector<size_t> kept;
  for (size_t i : order) {
    bool overlaps = false;
    for (size_t j : kept) overlaps |= plain_iou(&anchors[4 * i], &anchors[4 * j]) > 0.5;
    if (overlaps || kept.size() == 50) continue;
    kept.push_back(i);
    expected.push_back(value[i]);
  }
  CHECK(kept.size() > 20);
  CHECK(got.scores.to_vector<float>() == expected);
}
