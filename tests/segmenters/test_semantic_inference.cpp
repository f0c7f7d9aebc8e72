#include "segmenters/semantic_inference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "segmenters/class_map.h"
#include "tests/close.h"
#include "tests/detectors/one_thread.h"
#include "tests/op_case.h"
#include "tests/segmenters/tiny_deeplab.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 67, kWidth = 45, kClasses = 4;

Tensor image() { return random_tensor({kHeight, kWidth, 3}, 60, -2, 2).cast(DType::kF32); }

// (h, w, C), mirrored by plain code.
Tensor mirrored(const Tensor& t) {
  const auto from = t.to_vector<float>();
  const auto width = size_t(t.dim(1)), channels = size_t(t.dim(2));
  std::vector<float> to(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t c = i % channels, x = i / channels % width, y = i / channels / width;
    to[(y * width + width - 1 - x) * channels + c] = from[i];
  }
  return Tensor::from(to, t.shape());
}

// (h, w, C) -> (height, width, C), bilinear with half-pixel corners.
Tensor resized(const Tensor& t, int64_t height, int64_t width) {
  const auto from = t.to_vector<float>();
  const int64_t channels = t.dim(2);
  const auto at = [&](int64_t y, int64_t x, int64_t c) {
    y = std::min(y, t.dim(0) - 1);
    x = std::min(x, t.dim(1) - 1);
    return double(from[size_t((y * t.dim(1) + x) * channels + c)]);
  };
  const auto place = [](int64_t o, int64_t in, int64_t out) {
    return std::max((double(o) + 0.5) * double(in) / double(out) - 0.5, 0.0);
  };
  std::vector<float> to;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c) {
        const double v = place(y, t.dim(0), height), u = place(x, t.dim(1), width);
        const auto y0 = int64_t(v), x0 = int64_t(u);
        const double b = v - double(y0), a = u - double(x0);
        to.push_back(float((1 - b) * ((1 - a) * at(y0, x0, c) + a * at(y0, x0 + 1, c)) +
                           b * ((1 - a) * at(y0 + 1, x0, c) + a * at(y0 + 1, x0 + 1, c))));
      }
  return Tensor::from(to, {height, width, channels});
}

std::vector<double> softmax_rows(const Tensor& logits) {
  std::vector<double> p;
  const auto z = logits.to_vector<float>();
  for (size_t i = 0; i < z.size(); i += size_t(kClasses)) {
    double sum = 0;
    for (size_t c = 0; c < size_t(kClasses); ++c) sum += std::exp(double(z[i + c]));
    for (size_t c = 0; c < size_t(kClasses); ++c) p.push_back(std::exp(double(z[i + c])) / sum);
  }
  return p;
}

// The maximum over the network's scales for an image (h, w, 3), without the batch's axis.
Tensor maximum_of(DeepLab& model, const Tensor& at_scale) {
  const NoGrad constant;
  const Tensor logits = model.multi_scale_logits(at_scale.as_batch()).maximum.value();
  return logits.reshape({logits.dim(1), logits.dim(2), logits.dim(3)});
}

void check_close(const Tensor& got, const std::vector<double>& expected, double size) {
  const auto values = got.to_vector<float>();
  REQUIRE(values.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::abs(values[i] - expected[i]));
  CHECK(worst < size);
}

}  // namespace

TEST_CASE("semantic inference: METHOD B5, softmax of the resized maximum at the image's own size") {
  const OneThread one_thread;
  DeepLab model(tiny_deeplab_spec(), 21);
  enlarge_aspp(model);
  const Tensor p = semantic_probabilities(model, image());
  CHECK(p.shape() == Shape{kHeight, kWidth, kClasses});
  check_close(p, softmax_rows(resized(maximum_of(model, image()), kHeight, kWidth)), 1e-5);
}

TEST_CASE("semantic inference: several scales and mirrored pictures give the mean probability") {
  const OneThread one_thread;
  DeepLab model(tiny_deeplab_spec(), 22);
  enlarge_aspp(model);
  const SemanticInferenceSpec spec{.scales = {0.5, 1, 1.25}, .flip = true};
  const Tensor p = semantic_probabilities(model, image(), spec);
  std::vector<double> expected(size_t(kHeight * kWidth * kClasses));
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{33, 22}, {67, 45}, {83, 56}})
    for (const bool flipped : {false, true}) {
      const Tensor at_scale = resized(image(), h, w);
      Tensor logits = maximum_of(model, flipped ? mirrored(at_scale) : at_scale);
      if (flipped) logits = mirrored(logits);
      const auto term = softmax_rows(resized(logits, kHeight, kWidth));
      for (size_t i = 0; i < term.size(); ++i) expected[i] += term[i] / 6;
    }
  check_close(p, expected, 1e-4);
  // A mirrored picture has mirrored probabilities.
  const Tensor of_mirrored = semantic_probabilities(model, mirrored(image()), spec);
  const auto back = mirrored(p).cast(DType::kF64).to_vector<double>();
  check_close(of_mirrored, back, 1e-4);
}

TEST_CASE("semantic inference: METHOD B5, the CRF after the network") {
  CHECK(kDeepLabCrf.iterations == 10);
  CHECK(kDeepLabCrf.smoothness_sigma_px == 1);
  CHECK(kDeepLabCrf.smoothness_weight == 3);
  CHECK(kDeepLabCrf.appearance_sigma_px == 67);
  CHECK(kDeepLabCrf.appearance_sigma_levels == 3);
  CHECK(kDeepLabCrf.appearance_weight == 4);
  // Two halves of different colour; the network's probabilities are noisy.
  const int64_t height = 20, width = 30;
  const Random noise(61);
  std::vector<uint8_t> pixels, truth;
  std::vector<float> values;
  for (int64_t i = 0; i < height * width; ++i) {
    const bool right = i % width >= width / 2;
    for (int c = 0; c < 3; ++c) pixels.push_back(right ? 200 : 40);
    const double p = noise.uniform(uint64_t(i), 0.15, 0.95);  // of the true class
    truth.push_back(right ? 2 : 0);
    for (int c = 0; c < 3; ++c) values.push_back(float(c == truth.back() ? p : (1 - p) / 2));
  }
  const Tensor probabilities = Tensor::from(values, {height, width, 3});
  const Tensor photograph = Tensor::from(pixels, {height, width, 3});
  const Tensor refined = refine_probabilities(probabilities, photograph);
  CHECK(class_map(probabilities).to_vector<uint8_t>() != truth);
  CHECK(class_map(refined).to_vector<uint8_t>() == truth);
  CHECK(refined.to_vector<float>() == DenseCrf(photograph, kDeepLabCrf)
                                          .infer(unary_from_probabilities(probabilities))
                                          .to_vector<float>());
}

TEST_CASE("class map: the greatest, of equal ones the first") {
  for (Device device : available_devices()) {
    const auto of = [&](const std::vector<float>& scores, Shape shape) {
      return class_map(Tensor::from(scores, shape, device)).to(kCpu);
    };
    CHECK(of({1, 3, 2, 0.5f, 0.5f, 0.1f}, {1, 2, 3}).to_vector<uint8_t>() ==
          std::vector<uint8_t>{1, 0});
    CHECK(of({7, 8}, {2, 1, 1}).to_vector<uint8_t>() == std::vector<uint8_t>{0, 0});
    CHECK(of({}, {0, 5, 3}).shape() == Shape{0, 5});
    const Tensor many = random_tensor({37, 61, 255}, 62).cast(DType::kF32);
    const auto values = many.to_vector<float>();
    std::vector<uint8_t> expected;
    for (size_t i = 0; i < values.size(); i += 255)
      expected.push_back(uint8_t(std::max_element(&values[i], &values[i] + 255) - &values[i]));
    CHECK(of(values, many.shape()).to_vector<uint8_t>() == expected);
  }
  CHECK_THROWS_AS(class_map(Tensor::zeros({2, 2, 256})), Error);
  CHECK_THROWS_AS(class_map(Tensor::zeros({2, 2, 3}, DType::kF64)), Error);
  CHECK_THROWS_AS(class_map(Tensor::zeros({2, 2})), Error);
}

TEST_CASE("semantic inference: what makes no sense is refused") {
  DeepLab model(tiny_deeplab_spec(), 23);
  CHECK_THROWS_AS(semantic_probabilities(model, image(), {.scales = {}}), Error);
  CHECK_THROWS_AS(semantic_probabilities(model, image(), {.scales = {-1}}), Error);
  CHECK_THROWS_WITH_AS(semantic_probabilities(model, image(), {.scales = {0.02}}),
                       doctest::Contains("at scale 0.02 has no pixels left"), Error);
  CHECK_THROWS_AS(semantic_probabilities(model, image().as_batch()), Error);
}
