#include "detectors/roi_heads.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

GroundTruth truth_of(const std::vector<float>& boxes, const std::vector<int64_t>& labels) {
  return {Tensor::from(boxes, {int64_t(labels.size()), 4}), Tensor::from(labels)};
}

Proposals proposals_of(const std::vector<float>& boxes) {
  const auto count = int64_t(boxes.size() / 4);
  return {Tensor::from(boxes, {count, 4}), Tensor::zeros({count})};
}

}  // namespace

TEST_CASE("roi heads: METHOD B1, constants") {
  const RoiHeadsSpec spec;
  CHECK(spec.head_width == 1024);
  CHECK(spec.beta == 1);
  CHECK(spec.pooler.bins == 7);
  CHECK(spec.pooler.samples == 2);
  CHECK(spec.sampler.per_image == 512);
  CHECK(spec.sampler.positive_fraction == 0.25);
  CHECK(spec.coder.weights == std::array<double, 4>{10, 10, 5, 5});
}

TEST_CASE("roi heads: METHOD B1, ground-truth boxes are appended, foreground from IoU 0.5") {
  // Image 0: the first proposal overlaps box 1 by 0.8, the second box 0 by 0.3. Image 1: no boxes.
  const std::vector<Proposals> proposals{proposals_of({50, 50, 66, 70, 0, 0, 10, 3}),
                                         proposals_of({5, 5, 9, 9})};
  const std::vector<GroundTruth> truth{truth_of({0, 0, 10, 10, 50, 50, 70, 70}, {4, 2}),
                                       truth_of({}, {})};
  const RoiSample sample = sample_rois(proposals, truth, {}, {});
  // Candidates of image 0: two proposals, then two boxes; 0, 2 and 3 are positive.
  CHECK(sample.rois.to_vector<float>() == std::vector<float>{0,  50, 50, 66, 70, 0,  0, 0, 10,
                                                             10, 0,  50, 50, 70, 70, 0, 0, 0,
                                                             10, 3,  1,  5,  5,  9,  9});
  CHECK(sample.labels.to_vector<int64_t>() == std::vector<int64_t>{2, 4, 2, 0, 0});
  CHECK(sample.positive_rows.to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2});
  CHECK(sample.objects.to_vector<int64_t>() == std::vector<int64_t>{1, 0, 1});
  // Box 1's centre lies 2 pixels, 2 / 16 of the width, to the right of the first RoI's.
  const auto targets = sample.targets.to_vector<float>();
  REQUIRE(targets.size() == 12);
  const std::vector<double> expected{10 * 2.0 / 16, 0, 5 * std::log(20.0 / 16), 0};
  for (size_t k = 0; k < 4; ++k) CHECK(targets[k] == test::close_to(expected[k], 1e-6));
  for (size_t k = 4; k < 12; ++k) CHECK(targets[k] == 0);
}

TEST_CASE("roi heads: METHOD B1, 512 per image at 25 % positive, the same for the same step") {
  std::vector<float> boxes;
  for (int i = 0; i < 800; ++i) {
    const float x = i < 400 ? 0.01f * float(i) : 100 + float(i % 20);
    boxes.insert(boxes.end(), {x, 0, x + 40, 40});
  }
  const std::vector<Proposals> proposals{proposals_of(boxes)};
  const std::vector<GroundTruth> truth{truth_of({0, 0, 40, 40}, {1})};
  const auto draw = [&](StepSeed step) {
    return sample_rois(proposals, truth, {}, step).rois.to_vector<float>();
  };
  const RoiSample sample = sample_rois(proposals, truth, {}, {});
  CHECK(sample.labels.dim(0) == 512);
  CHECK(sample.positive_rows.dim(0) == 128);
  CHECK(draw({3, 5}) == draw({3, 5}));
  CHECK(draw({3, 5}) != draw({3, 6}));
  CHECK(draw({3, 5}) != draw({4, 5}));
}

TEST_CASE("roi heads: METHOD B1, CE mean, smooth L1 of the true class summed over all sampled") {
  const int64_t rois = 7, classes = 3;
  RoiSample sample;
  sample.labels = Tensor::from<int64_t>({2, 3, 1, 0, 0, 0, 0});
  sample.positive_rows = Tensor::from<int64_t>({0, 1, 2});
  sample.targets = test::random_tensor({3, 4}, 70, -2, 2);
  const Tensor logits = test::random_tensor({rois, classes + 1}, 71, -2, 2);
  const Tensor deltas = test::random_tensor({rois, 4 * (classes + 1)}, 72, -2, 2);
  const BoxHeadLosses losses = box_head_losses({logits, deltas}, sample, 1);

  const auto z = logits.to_vector<double>(), d = deltas.to_vector<double>();
  const auto t = sample.targets.to_vector<double>();
  const auto label = sample.labels.to_vector<int64_t>();
  double entropy = 0, distance = 0;
  for (size_t r = 0; r < size_t(rois); ++r) {
    double sum = 0;
    for (size_t c = 0; c <= size_t(classes); ++c) sum += std::exp(z[4 * r + c]);
    entropy -= (z[4 * r + size_t(label[r])] - std::log(sum)) / double(rois);
    if (label[r] == 0) continue;
    for (size_t k = 0; k < 4; ++k) {
      const double e = std::abs(d[16 * r + 4 * size_t(label[r]) + k] - t[4 * r + k]);
      distance += (e < 1 ? e * e / 2 : e - 0.5) / double(rois);
    }
  }
  CHECK(losses.classification.value().scalar() == test::close_to(entropy, 1e-6));
  CHECK(losses.box.value().scalar() == test::close_to(distance, 1e-6));

  const auto result = gradcheck(
      [&](const std::vector<Variable>& v) {
        const BoxHeadLosses l = box_head_losses({v[0], v[1]}, sample, 1);
        return add(l.classification, l.box);
      },
      {logits, deltas});
  INFO(result.where);
  CHECK(result.worst < 1e-8);
}

TEST_CASE("roi heads: without a positive the box loss is 0") {
  RoiSample sample;
  sample.labels = Tensor::from<int64_t>({0, 0});
  sample.positive_rows = Tensor::from(std::vector<int64_t>{});
  sample.targets = Tensor::zeros({0, 4});
  Variable deltas(test::random_tensor({2, 8}, 73), true);
  const BoxHeadLosses losses =
      box_head_losses({Variable(test::random_tensor({2, 2}, 74)), deltas}, sample, 1);
  CHECK(losses.box.value().scalar() == 0);
  backward(losses.box);
  for (double value : deltas.grad().to_vector<double>()) CHECK(value == 0);
}

TEST_CASE("roi heads: box head's shapes and names") {
  Initializer init(5);
  BoxHead head(6, 3, {.pooler = {.bins = 2}, .head_width = 10}, init);
  const BoxHeadOutput output = head(Variable(Tensor::full({5, 2, 2, 6}, 1)));
  CHECK(output.class_logits.shape() == Shape{5, 4});
  CHECK(output.deltas.shape() == Shape{5, 16});
  CHECK(head(Variable(Tensor::zeros({0, 2, 2, 6}))).deltas.shape() == Shape{0, 16});
  std::vector<std::string> names;
  head.visit("roi_heads.", [&](const std::string& name, Variable&) { names.push_back(name); });
  CHECK(names.front() == "roi_heads.box_head.fc6.weight");
  CHECK(names.back() == "roi_heads.box_predictor.bbox_pred.bias");
  CHECK(names.size() == 8);
}
