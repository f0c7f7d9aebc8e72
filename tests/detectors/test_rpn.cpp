#include "detectors/rpn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// Two levels of 3 x 4 and 2 x 2 cells with three anchors each: K = 36 + 12.
const AnchorSpec kAnchors{.sizes_px = {16, 32}, .strides_px = {8, 16}};
constexpr FrameSize kFrame{.height = 24, .width = 32};
constexpr int64_t kPerImage = 48;

RpnOutput random_output(int64_t images, uint64_t seed) {
  RpnOutput output;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{3, 4}, {2, 2}}) {
    output.objectness.emplace_back(test::random_tensor({images, height, width, 3}, ++seed));
    output.deltas.emplace_back(test::random_tensor({images, height, width, 12}, ++seed));
  }
  return output;
}

GroundTruth truth_of(const std::vector<float>& boxes) {
  const auto count = int64_t(boxes.size() / 4);
  return {Tensor::from(boxes, {count, 4}), Tensor::full({count}, 1, DType::kI64)};
}

// Logit and deltas of anchor k of image n, found through the definition of the order: levels, rows,
// columns, ratios.
struct Answer {
  double logit;
  const double* deltas;
};
Answer answer_of(const RpnOutput& output, int64_t row) {
  const int64_t n = row / kPerImage, k = row % kPerImage;
  const size_t level = k < 36 ? 0 : 1;
  const int64_t per_level = level == 0 ? 36 : 12, i = n * per_level + (level == 0 ? k : k - 36);
  return {output.objectness[level].value().data<double>()[i],
          output.deltas[level].value().data<double>() + 4 * i};
}

RpnSample sample_of_two_images(const RpnSpec& spec, StepSeed step = {}) {
  const RpnOutput output = random_output(2, 1);
  return sample_rpn(anchors_of(output, spec.anchors), {kFrame, kFrame},
                    {truth_of({2, 2, 18, 20, 10, 0, 30, 22}), truth_of({})}, spec, true, step);
}

}  // namespace

TEST_CASE("rpn: METHOD B1, constants of the loss") {
  const RpnSpec spec;
  CHECK(spec.beta == 1.0 / 9);
  CHECK(spec.straddle_px == 0);
  CHECK(spec.sampler.per_image == 256);
  CHECK(spec.sampler.positive_fraction == 0.5);
}

TEST_CASE("rpn: a head answers per level and cell") {
  Initializer init(3);
  RpnHead head(8, 3, init);
  const RpnOutput output =
      head({Variable(Tensor::full({2, 5, 7, 8}, 1)), Variable(Tensor::full({2, 3, 4, 8}, 1))});
  REQUIRE(output.objectness.size() == 2);
  CHECK(output.objectness[0].shape() == Shape{2, 5, 7, 3});
  CHECK(output.deltas[1].shape() == Shape{2, 3, 4, 12});
  std::vector<std::string> names;
  head.visit("rpn.head.", [&](const std::string& name, Variable&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"rpn.head.conv.weight", "rpn.head.conv.bias",
                                          "rpn.head.cls_logits.weight", "rpn.head.cls_logits.bias",
                                          "rpn.head.bbox_pred.weight", "rpn.head.bbox_pred.bias"});
  const auto anchors = anchors_of(output, kAnchors);
  CHECK(anchors[0].shape() == Shape{5 * 7 * 3, 4});
  CHECK(anchors[1].shape() == Shape{3 * 4 * 3, 4});
  CHECK_THROWS_AS(anchors_of(output, {}), Error);
}

TEST_CASE("rpn: samples by the matcher's rules") {
  RpnSpec spec{.anchors = kAnchors, .straddle_px = -1};
  const RpnSample sample = sample_of_two_images(spec);
  const auto rows = sample.rows.to_vector<int64_t>();
  const auto labels = sample.labels.to_vector<float>();
  const auto positives = sample.positive_rows.to_vector<int64_t>();
  REQUIRE(rows.size() == labels.size());
  CHECK(positives.size() >= 2);
  CHECK(std::equal(positives.begin(), positives.end(), rows.begin()));
  for (size_t i = 0; i < rows.size(); ++i) CHECK(labels[i] == (i < positives.size() ? 1 : 0));
  for (int64_t row : positives) CHECK(row < kPerImage);  // the second image has no boxes
  CHECK(std::count_if(rows.begin(), rows.end(), [](auto row) { return row >= kPerImage; }) ==
        kPerImage);

  // Every positive's target leads from its anchor to one of the boxes.
  const RpnOutput output = random_output(1, 1);
  const auto anchors = anchors_of(output, kAnchors);
  const auto first = anchors[0].to_vector<float>(), second = anchors[1].to_vector<float>();
  for (size_t p = 0; p < positives.size(); ++p) {
    const auto k = size_t(positives[p]);
    const float* anchor = k < 36 ? &first[4 * k] : &second[4 * (k - 36)];
    const Tensor reference = Tensor::from(std::vector<float>(anchor, anchor + 4), {1, 4});
    const auto box =
        decode_boxes(sample.targets.rows(int64_t(p), int64_t(p) + 1), reference, kRpnCoder)
            .to_vector<float>();
    const bool is_first = std::abs(box[0] - 2) < 1e-3 && std::abs(box[3] - 20) < 1e-3;
    const bool is_second = std::abs(box[0] - 10) < 1e-3 && std::abs(box[3] - 22) < 1e-3;
    CHECK((is_first || is_second));
  }
}

TEST_CASE("rpn: METHOD B1, anchors that leave the image are not trained on") {
  const RpnSpec spec{.anchors = kAnchors};
  const RpnSample sample = sample_of_two_images(spec);
  const RpnOutput output = random_output(1, 1);
  const auto anchors = anchors_of(output, kAnchors);
  const auto first = anchors[0].to_vector<float>();
  int64_t inside = 0;
  for (size_t k = 0; k < 36; ++k)
    inside += first[4 * k] >= 0 && first[4 * k + 1] >= 0 && first[4 * k + 2] <= 32 &&
              first[4 * k + 3] <= 24;
  REQUIRE(inside > 0);
  for (int64_t row : sample.rows.to_vector<int64_t>()) {
    const auto k = size_t(row % kPerImage);
    REQUIRE(k < 36);  // those of 32 pixels all leave it
    CHECK(first[4 * k] >= 0);
    CHECK(first[4 * k + 3] <= 24);
  }
  // The image without boxes takes all that are inside.
  const auto rows = sample.rows.to_vector<int64_t>();
  CHECK(std::count_if(rows.begin(), rows.end(), [](auto row) { return row >= kPerImage; }) ==
        inside);
}

TEST_CASE("rpn: METHOD B1, BCE mean over sampled, smooth L1 summed over number sampled") {
  RpnSpec spec{.anchors = kAnchors, .straddle_px = -1};
  spec.sampler.per_image = 20;
  const RpnSample sample = sample_of_two_images(spec, {.seed = 5, .step = 9});
  const RpnOutput output = random_output(2, 30);
  const RpnLosses losses = rpn_losses(output, sample, spec.beta);

  const auto rows = sample.rows.to_vector<int64_t>();
  CHECK(rows.size() == 40);
  const auto labels = sample.labels.to_vector<float>();
  const auto targets = sample.targets.to_vector<float>();
  double entropy = 0, distance = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Answer answer = answer_of(output, rows[i]);
    const double p = 1 / (1 + std::exp(-answer.logit));
    entropy -= std::log(labels[i] == 1 ? p : 1 - p) / 40;
    if (labels[i] == 0) continue;
    for (size_t k = 0; k < 4; ++k) {
      const double d = std::abs(answer.deltas[k] - double(targets[4 * i + k]));
      distance += (d < 1.0 / 9 ? 4.5 * d * d : d - 1.0 / 18) / 40;
    }
  }
  CHECK(losses.objectness.value().scalar() == test::close_to(entropy, 1e-6));
  CHECK(losses.box.value().scalar() == test::close_to(distance, 1e-6));
}

TEST_CASE("rpn: gradients of the losses") {
  RpnSpec spec{.anchors = kAnchors, .straddle_px = -1};
  spec.sampler.per_image = 20;
  const RpnSample sample = sample_of_two_images(spec);
  const RpnOutput at = random_output(2, 40);
  const auto result = gradcheck(
      [&](const std::vector<Variable>& v) {
        const RpnLosses losses = rpn_losses({{v[0], v[1]}, {v[2], v[3]}}, sample, spec.beta);
        return add(losses.objectness, losses.box);
      },
      {at.objectness[0].value(), at.objectness[1].value(), at.deltas[0].value(),
       at.deltas[1].value()});
  INFO(result.where);
  CHECK(result.worst < 1e-8);
  CHECK(result.checked > 400);
}

TEST_CASE("rpn: nothing to sample gives losses of 0 with gradients of 0") {
  RpnSpec spec{.anchors = kAnchors};
  const FrameSize tiny{.height = 3, .width = 3};  // every anchor leaves it
  RpnOutput output = random_output(1, 50);
  for (Variable& level : output.objectness) level = Variable(level.value(), true);
  const RpnSample sample =
      sample_rpn(anchors_of(output, kAnchors), {tiny}, {truth_of({})}, spec, true, {});
  CHECK(sample.rows.size() == 0);
  const RpnLosses losses = rpn_losses(output, sample, spec.beta);
  CHECK(losses.objectness.value().scalar() == 0);
  CHECK(losses.box.value().scalar() == 0);
  backward(losses.objectness);
  for (double value : output.objectness[0].grad().to_vector<double>()) CHECK(value == 0);
}

TEST_CASE("rpn: proposals of an image do not depend on its neighbours in the batch") {
  const RpnOutput both = random_output(2, 60);
  RpnOutput second;
  for (size_t level = 0; level < 2; ++level) {
    second.objectness.emplace_back(both.objectness[level].value().rows(1, 2));
    second.deltas.emplace_back(both.deltas[level].value().rows(1, 2));
  }
  const auto anchors = anchors_of(both, kAnchors);
  const FrameSize narrow{.height = 24, .width = 20};
  const auto batch = propose(both, anchors, {kFrame, narrow}, kTestProposals, true);
  const auto alone = propose(second, anchors, {narrow}, kTestProposals, true);
  REQUIRE(batch.size() == 2);
  CHECK(batch[1].boxes.to_vector<float>() == alone[0].boxes.to_vector<float>());
  CHECK(batch[1].boxes.dim(0) > 4);
  const auto scores = batch[1].scores.to_vector<float>();
  CHECK(std::is_sorted(scores.rbegin(), scores.rend()));
  const auto corners = batch[1].boxes.to_vector<float>();
  for (size_t i = 0; i < corners.size(); i += 4) CHECK(corners[i + 2] <= 20);
}
