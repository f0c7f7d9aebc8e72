#include "attribution/faithfulness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/attribution/toy_detector.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 5, kWidth = 7, kPixels = kHeight * kWidth;

// Weight of pixel k: 1 ... kPixels in a shuffled order, over their sum; and in order.
double weight(int64_t k) { return double(k * 12 % kPixels + 1) / (kPixels * (kPixels + 1) / 2); }
double weight_in_order(int64_t k) { return double(k + 1) / (kPixels * (kPixels + 1) / 2); }

// Answers by the weighted sum s of the first channel: p^1 = 0.1 + 0.8 s, and a right side of the
// box that is 5 (1 - s) too far to the left.
class WeighingDetector : public ExplainedDetector {
 public:
  using Weight = double (*)(int64_t);
  explicit WeighingDetector(Weight w) : weight_(w) {}

  BoxPredictions predict(const Variable& images, const Tensor& rois) override {
    ++predictions;
    const auto x = images.value().cast(DType::kF64).to(kCpu).to_vector<double>();
    const auto roi = rois.to_vector<float>();
    std::vector<double> logits, deltas;
    for (size_t r = 0; r < roi.size(); r += 5) {
      double s = 0;
      for (int64_t k = 0; k < kPixels; ++k)
        s += weight_(k) * x[size_t((int64_t(roi[r]) * kPixels + k) * 3)];
      logits.insert(logits.end(), {std::log(0.9 - 0.8 * s), std::log(0.1 + 0.8 * s)});
      deltas.insert(deltas.end(), {0, 0, 0, 0, 0, 0, -5 * (1 - s), 0});
    }
    const auto rows = int64_t(roi.size() / 5);
    return {Variable(Tensor::from(logits, {rows, 2}, images.device())),
            Variable(Tensor::from(deltas, {rows, 8}, images.device()))};
  }
  std::vector<Variable> features(const Variable& images) override { return {images}; }
  BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) override {
    return predict(features[0], rois);
  }
  Tensor decode(const Tensor& offsets, const Tensor& proposals, int64_t h,
                int64_t w) const override {
    return ToyDetector().decode(offsets, proposals, h, w);
  }
  int cost_group(const BoxArray&) const override { return 0; }

  int predictions = 0;

 private:
  Weight weight_;
};

// The first channel is 1 everywhere, so that s = 1.
Tensor bright_image(Device device) {
  std::vector<float> values(size_t(3 * kPixels), 0.5f);
  for (size_t i = 0; i < values.size(); i += 3) values[i] = 1;
  return Tensor::from(values, {1, kHeight, kWidth, 3}, device);
}

Tensor map_of(double (*value)(int64_t)) {
  std::vector<float> values;
  for (int64_t k = 0; k < kPixels; ++k) values.push_back(float(value(k)));
  return Tensor::from(values, {kHeight, kWidth});
}

// Two proposals: the object's box, and its left half, which when s = 1 overlaps it by 1/2.
const ObjectProposals kObject{
    {0, 0, 10, 4}, 1, Tensor::from<float>({0, 0, 10, 4, 0, 0, 5, 4}, {2, 4})};

// What the detector answers for s. Box: the first proposal keeps 10 - 5 (1 - s) of 10, the second
// 5 - 5 (1 - s).
double probability_at(double s) { return 0.1 + 0.8 * s; }
double iou_at(double s) { return ((10 - 5 * (1 - s)) / 10 + (5 - 5 * (1 - s)) / 10) / 2; }

void check_curve(const FaithfulnessCurve& curve, const std::vector<double>& s) {
  REQUIRE(curve.probability.size() == s.size());
  REQUIRE(curve.iou.size() == s.size());
  const auto n = double(s.size() - 1);
  double p_area = 0, iou_area = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    CAPTURE(i);
    CHECK(curve.probability[i] == close_to(probability_at(s[i]), 1e-6));
    CHECK(curve.iou[i] == close_to(iou_at(s[i]), 1e-6, 1));
    const double share = (i == 0 || i + 1 == s.size() ? 0.5 : 1) / n;
    p_area += share * probability_at(s[i]);
    iou_area += share * iou_at(s[i]);
  }
  CHECK(curve.probability_area == close_to(p_area, 1e-6));
  CHECK(curve.iou_area == close_to(iou_area, 1e-6));
}

}  // namespace

TEST_CASE(
    "faithfulness: deletion [Petsiuk 2018] of a detector that weighs pixels, in closed form") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    WeighingDetector detector(weight);
    const Tensor image = bright_image(device), map = map_of(weight);
    // The m greatest weights are N, N - 1, ... over N (N + 1) / 2.
    std::vector<double> s;
    for (int64_t m = 0; m <= kPixels; ++m)
      s.push_back(1 - double(m * (2 * kPixels - m + 1)) / double(kPixels * (kPixels + 1)));
    check_curve(deletion_curve(detector, image, map, kObject, {.steps = int(kPixels)}), s);
    // The same map upside down leaves the small weights out first.
    const Tensor reverse = map_of([](int64_t k) { return -weight(k); });
    std::vector<double> slow;
    for (int64_t m = 0; m <= kPixels; ++m)
      slow.push_back(1 - double(m * (m + 1)) / double(kPixels * (kPixels + 1)));
    check_curve(deletion_curve(detector, image, reverse, kObject, {.steps = int(kPixels)}), slow);
  }
}

TEST_CASE("faithfulness: insertion [Petsiuk 2018] of that detector, in steps that do not divide") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    WeighingDetector detector(weight);
    std::vector<double> s;
    for (const int64_t m : {0, 8, 17, 26, 35})
      s.push_back(double(m * (2 * kPixels - m + 1)) / double(kPixels * (kPixels + 1)));
    check_curve(
        insertion_curve(detector, bright_image(device), map_of(weight), kObject, {.steps = 4}), s);
  }
}

TEST_CASE("faithfulness: pixels of equal value are taken by their index") {
  WeighingDetector detector(weight_in_order);
  const Tensor map = Tensor::full({kHeight, kWidth}, 0.25);
  std::vector<double> s;
  for (int64_t m = 0; m <= kPixels; ++m)
    s.push_back(double(m * (m + 1)) / double(kPixels * (kPixels + 1)));
  check_curve(insertion_curve(detector, bright_image(kCpu), map, kObject, {.steps = int(kPixels)}),
              s);
}

TEST_CASE("faithfulness: several steps at once give the same curve") {
  const Tensor image = bright_image(kCpu), map = map_of(weight);
  FaithfulnessCurve one;
  for (const auto& [batch, calls] : {std::pair{1, 8}, {3, 3}, {4, 2}, {100, 1}}) {
    CAPTURE(batch);
    WeighingDetector detector(weight);
    const auto curve = deletion_curve(detector, image, map, kObject, {.steps = 7, .batch = batch});
    if (batch == 1) one = curve;
    CHECK(curve.probability == one.probability);
    CHECK(curve.iou == one.iou);
    CHECK(detector.predictions == calls);
  }
}

TEST_CASE("faithfulness: METHOD A2, deletion ends where insertion begins, without a picture") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    ToyDetector detector(DType::kF32, device, 4);
    const Tensor image = random_tensor({1, 13, 17, 3}, 4, -100, 100).cast(DType::kF32).to(device);
    const Tensor map = random_tensor({13, 17}, 5).cast(DType::kF32);
    const ObjectProposals object = ObjectProposals::of_box({2, 1, 14, 11}, 2);
    const auto answer = [&](const Tensor& seen) {
      const BoxPredictions p = detector.predict(seen, object.rois(1, device));
      const auto logits = p.class_logits.value().to_vector<float>();
      const auto t = p.deltas.value().to_vector<float>();
      double total = 0;
      for (const float l : logits) total += std::exp(double(l));
      const Box<double> box{2.0 + t[8], 1.0 + t[9], 14.0 + t[10], 11.0 + t[11]};
      return std::pair{std::exp(double(logits[2])) / total, iou(box, as_box(object.box))};
    };
    const auto whole = answer(image), nothing = answer(Tensor::zeros_like(image));
    CHECK(std::abs(whole.first - nothing.first) > 0.01);
    CHECK(std::abs(whole.second - nothing.second) > 0.01);
    const auto deletion = deletion_curve(detector, image, map, object, {.steps = 6});
    const auto insertion = insertion_curve(detector, image, map, object, {.steps = 6});
    const auto both_ends = {std::pair{&deletion, false}, std::pair{&insertion, true}};
    for (const auto& [curve, begins_empty] : both_ends) {
      const auto& first = begins_empty ? nothing : whole;
      const auto& last = begins_empty ? whole : nothing;
      CHECK(curve->probability.front() == close_to(first.first, 1e-5));
      CHECK(curve->iou.front() == close_to(first.second, 1e-5));
      CHECK(curve->probability.back() == close_to(last.first, 1e-5));
      CHECK(curve->iou.back() == close_to(last.second, 1e-5));
    }
  }
}

TEST_CASE("faithfulness: the pointing game [Zhang 2018] by hand, 15 pixels of tolerance") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const auto map_with_peaks = [&](const std::vector<size_t>& peaks) {
      std::vector<float> values(40 * 50, 0.f);
      for (const size_t at : peaks) values[at] = 0.5f;
      return Tensor::from(values, {40, 50}, device);
    };
    const auto mask_of = [&](size_t x, size_t y) {
      std::vector<uint8_t> inside(40 * 50, 0);
      inside[y * 50 + x] = 1;
      return Tensor::from(inside, {40, 50}, device);
    };
    const Tensor map = map_with_peaks({10 * 50 + 30, 11 * 50 + 2});  // the first is meant
    CHECK(points_at(map, mask_of(15, 10)));
    CHECK_FALSE(points_at(map, mask_of(14, 10)));
    CHECK(points_at(map, mask_of(18, 19)));  // 12 and 9 pixels away: 15
    CHECK_FALSE(points_at(map, mask_of(18, 20)));
    CHECK(points_at(map, mask_of(30, 10), 0));
    CHECK_FALSE(points_at(map, mask_of(31, 10), 0));
    CHECK_FALSE(points_at(map, Tensor::zeros({40, 50}, DType::kU8, device)));
    // The centre of the pixel is (30.5, 10.5).
    CHECK(points_at(map, BoxArray{0, 0, 15.5f, 40}));
    CHECK_FALSE(points_at(map, BoxArray{0, 0, 15.25f, 40}));
    CHECK(points_at(map, BoxArray{42.5f, 19.5f, 50, 40}));
    CHECK_FALSE(points_at(map, BoxArray{42.5f, 19.75f, 50, 40}));
    CHECK(points_at(map, BoxArray{30, 10, 31, 11}, 0));
    CHECK_FALSE(points_at(map, BoxArray{31, 10, 32, 11}, 0));
    const Tensor flat = Tensor::full({40, 50}, 0.5, DType::kF32, device);
    CHECK_FALSE(points_at(flat, mask_of(0, 0)));
    CHECK_FALSE(points_at(flat, BoxArray{0, 0, 50, 40}));
  }
}

TEST_CASE("faithfulness: what does not fit is refused") {
  WeighingDetector detector(weight);
  const Tensor image = bright_image(kCpu), map = map_of(weight);
  CHECK_THROWS_AS(deletion_curve(detector, image, Tensor::zeros({7, 5}), kObject), Error);
  CHECK_THROWS_AS(deletion_curve(detector, Tensor::zeros({2, 5, 7, 3}), map, kObject), Error);
  CHECK_THROWS_AS(insertion_curve(detector, image, map, kObject, {.steps = 0}), Error);
  CHECK_THROWS_AS(insertion_curve(detector, image, map, kObject, {.batch = 0}), Error);
  ObjectProposals wrong = kObject;
  wrong.label = 2;
  CHECK_THROWS_WITH_AS(deletion_curve(detector, image, map, wrong),
                       doctest::Contains("the detector knows 1 to 1"), Error);
  const ObjectProposals none{{0, 0, 9, 9}, 1, Tensor::zeros({0, 4})};
  CHECK_THROWS_AS(deletion_curve(detector, image, map, none), Error);
  CHECK_THROWS_AS(points_at(map, Tensor::zeros({7, 5}, DType::kU8)), Error);
  CHECK_THROWS_AS(points_at(image, BoxArray{0, 0, 9, 9}), Error);
}
