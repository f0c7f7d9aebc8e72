#include "attribution/gradient_maps.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "attribution/explained_faster_rcnn.h"
#include "attribution/noise.h"
#include "tests/attribution/double_detector.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Values = std::vector<double>;
constexpr ScoreOf kScores[] = {ScoreOf::kClass, ScoreOf::kBox, ScoreOf::kBoth};

// ---- The toy detector by hand

constexpr int64_t kHeight = 13, kWidth = 17;

// A proposal whose bins are the means of 2 x 2 pixels, since RoIAlign's samples fall on whole
// pixels: its bins begin at this pixel.
struct Corner {
  int64_t x, y;
};

ObjectProposals toy_object(const std::vector<Corner>& corners, int64_t label) {
  std::vector<float> boxes;
  for (const Corner& c : corners) {
    const float x = float(c.x) - 0.5f, y = float(c.y) - 0.5f;
    boxes.insert(boxes.end(), {x, y, x + 8, y + 8});
  }
  return {{2, 2, 11, 10}, label, Tensor::from(boxes, {int64_t(corners.size()), 4})};
}

size_t at(int64_t y, int64_t x, int64_t channel) { return size_t((y * kWidth + x) * 3 + channel); }

// Adds ∂S/∂I of one proposal, `share` times.
void add_gradient(const Values& image, const Corner& corner, size_t label, ScoreOf score,
                  double share, Values& gradient) {
  constexpr int kInputs = ToyDetector::kInputs;
  const auto pixel_of = [&](int input, int part) {
    const int bin = input / 3;
    return at(corner.y + bin / 4 * 2 + part / 2, corner.x + bin % 4 * 2 + part % 2, input % 3);
  };
  Values x, logits{-1, 2, 0}, t(4, 0);
  for (int i = 0; i < kInputs; ++i) {
    double mean = 0;
    for (int part = 0; part < 4; ++part) mean += image[pixel_of(i, part)] / 4;
    x.push_back(1 / (1 + std::exp(-0.05 * mean)));
    for (int k = 0; k < 3; ++k)
      logits[size_t(k)] += ToyDetector::logit_weight(k * kInputs + i) * x.back();
    for (int j = 0; j < 4; ++j)
      t[size_t(j)] += ToyDetector::delta_weight((4 * int(label) + j) * kInputs + i) * x.back();
  }
  double total = 0;
  for (const double l : logits) total += std::exp(l);
  for (int i = 0; i < kInputs; ++i) {
    double slope = 0;
    for (size_t k = 0; score != ScoreOf::kBox && k < 3; ++k) {
      const double p = std::exp(logits[k]) / total, p_label = std::exp(logits[label]) / total;
      slope +=
          p_label * ((k == label ? 1 : 0) - p) * ToyDetector::logit_weight(int(k) * kInputs + i);
    }
    for (size_t j = 0; score != ScoreOf::kClass && j < 4; ++j)
      slope +=
          (t[j] > 0 ? 1 : -1) * ToyDetector::delta_weight((4 * int(label) + int(j)) * kInputs + i);
    const double through_sigmoid = 0.05 * x[size_t(i)] * (1 - x[size_t(i)]);
    for (int part = 0; part < 4; ++part)
      gradient[pixel_of(i, part)] += share * slope * through_sigmoid / 4;
  }
}

Values toy_gradient(const Values& image, const std::vector<Corner>& corners, size_t label,
                    ScoreOf score) {
  Values gradient(image.size(), 0);
  for (const Corner& corner : corners)
    add_gradient(image, corner, label, score, 1 / double(corners.size()), gradient);
  return gradient;
}

Values greatest_of_channels(const Values& gradient) {
  Values map;
  for (size_t i = 0; i < gradient.size(); i += 3)
    map.push_back(
        std::max({std::abs(gradient[i]), std::abs(gradient[i + 1]), std::abs(gradient[i + 2])}));
  return map;
}

void check_map(const Tensor& map, const Values& expected, double relative) {
  CHECK(map.dtype() == DType::kF32);
  const auto values = map.to_vector<float>();
  REQUIRE(values.size() == expected.size());
  const double greatest = *std::max_element(expected.begin(), expected.end());
  CHECK(greatest > 0);
  for (size_t i = 0; i < values.size(); ++i) {
    INFO("pixel ", i);
    CHECK(values[i] >= 0);
    CHECK(std::abs(values[i] - expected[i]) <= relative * greatest);
  }
}

Tensor toy_image(Device device) {
  return random_tensor({1, kHeight, kWidth, 3}, 11, -100, 100).to(device);
}

// Two proposals that overlap, the second at the edges of the image.
const std::vector<Corner> kCorners{{2, 3}, {9, 5}};

// ---- A real detector in double

constexpr int64_t kInputHeight = 64, kInputWidth = 96;

struct RealScene {
  FasterRcnn model;
  Tensor image;
  // One proposal on the finest level, one on the next.
  ObjectProposals object{
      {30, 22, 78, 60}, 2, Tensor::from<float>({8, 10, 26, 30, 30, 22, 78, 60}, {2, 4})};

  explicit RealScene(Device device) : model(small_spec(Norm::kFrozen), 6) {
    make_double_and_lively(model, device);
    image = random_tensor({1, kInputHeight, kInputWidth, 3}, 3, -2, 2).to(device);
  }
};

// S from the numbers that the heads give.
double plain_score(const BoxPredictions& predictions, size_t label, ScoreOf score) {
  const auto logits = predictions.class_logits.value().to_vector<double>();
  const auto deltas = predictions.deltas.value().to_vector<double>();
  const auto rows = size_t(predictions.class_logits.dim(0)), classes = logits.size() / rows;
  double sum = 0;
  for (size_t r = 0; r < rows; ++r) {
    double total = 0;
    for (size_t k = 0; k < classes; ++k) total += std::exp(logits[r * classes + k]);
    if (score != ScoreOf::kBox) sum += std::exp(logits[r * classes + label]) / total;
    for (size_t j = 0; score != ScoreOf::kClass && j < 4; ++j)
      sum += std::abs(deltas[(r * classes + label) * 4 + j]);
  }
  return sum / double(rows);
}

// A layer with `step` added to all of one channel.
Variable with_channel_moved(const Tensor& layer, int64_t channel, double step) {
  auto values = layer.to_vector<double>();
  for (size_t i = size_t(channel); i < values.size(); i += size_t(layer.dim(3))) values[i] += step;
  return Variable(Tensor::from(values, layer.shape(), layer.device()));
}

// Equations 1 and 2 in plain code: the sum of a channel's gradients is the derivative by a number
// that is added to all of the channel.
Values plain_cam(ExplainedDetector& detector, const std::vector<Variable>& layers, size_t level,
                 const RealScene& s, ScoreOf score, double places) {
  const Tensor layer = layers[level].value();
  const int64_t channels = layer.dim(3);
  const Tensor rois = s.object.rois(1, layer.device());
  Values cam(size_t(layer.dim(1) * layer.dim(2)), 0);
  const auto a = layer.to_vector<double>();
  for (int64_t k = 0; k < channels; ++k) {
    const auto moved = [&](double step) {
      std::vector<Variable> there = layers;
      there[level] = with_channel_moved(layer, k, step);
      return plain_score(detector.heads(there, rois), size_t(s.object.label), score);
    };
    const double h = 1e-6, alpha = (moved(h) - moved(-h)) / (2 * h) / places;
    for (size_t i = 0; i < cam.size(); ++i) cam[i] += alpha * a[i * size_t(channels) + size_t(k)];
  }
  for (double& v : cam) v = std::max(v, 0.0);
  return cam;
}

// Bilinear with half-pixel corners, pixel by pixel.
double resized_at(const Values& cam, int64_t h, int64_t w, int64_t row, int64_t col) {
  const auto place = [](int64_t o, int64_t in, int64_t out) {
    const double exact = (double(o) + 0.5) * double(in) / double(out) - 0.5;
    return std::clamp(exact, 0.0, double(in - 1));
  };
  const double y = place(row, h, kInputHeight), x = place(col, w, kInputWidth);
  const auto y0 = int64_t(y), x0 = int64_t(x);
  double value = 0;
  for (int64_t dy = 0; dy < 2; ++dy)
    for (int64_t dx = 0; dx < 2; ++dx) {
      const double weight =
          (dy ? y - double(y0) : 1 - y + double(y0)) * (dx ? x - double(x0) : 1 - x + double(x0));
      value += weight * cam[size_t(std::min(y0 + dy, h - 1) * w + std::min(x0 + dx, w - 1))];
    }
  return value;
}

}  // namespace

TEST_CASE("gradient maps: SimpleGrad [Simonyan 2014, 3.1] of the toy detector in closed form") {
  for (const Device device : available_devices())
    for (const ScoreOf score : kScores) {
      CAPTURE(to_string(device));
      CAPTURE(int(score));
      ToyDetector detector(DType::kF64, device);
      const Tensor image = toy_image(device);
      for (const int64_t label : {1, 2}) {
        const Tensor map = simple_grad(detector, image, toy_object(kCorners, label), score);
        CHECK(map.shape() == Shape{kHeight, kWidth});
        CHECK(map.device() == device);
        check_map(map,
                  greatest_of_channels(
                      toy_gradient(image.to_vector<double>(), kCorners, size_t(label), score)),
                  1e-6);
      }
    }
}

TEST_CASE("gradient maps: SimpleGrad of a real detector against differences in double") {
  const OneThread one_thread;
  for (const Device device : available_devices())
    for (const ScoreOf score : kScores) {
      CAPTURE(to_string(device));
      CAPTURE(int(score));
      RealScene s(device);
      ExplainedFasterRcnn detector(s.model);
      const auto map = simple_grad(detector, s.image, s.object, score).to_vector<float>();
      REQUIRE(int64_t(map.size()) == kInputHeight * kInputWidth);
      const float largest = *std::max_element(map.begin(), map.end());
      CHECK(largest > 1e-6f);
      const auto moved = [&](size_t element, double step) {
        auto values = s.image.to_vector<double>();
        values[element] += step;
        const Variable image(Tensor::from(values, s.image.shape(), device));
        return plain_score(detector.predict(image, s.object.rois(1, device)),
                           size_t(s.object.label), score);
      };
      // The pixel of the largest value, and an even sample.
      const auto top = size_t(std::max_element(map.begin(), map.end()) - map.begin());
      std::vector<size_t> pixels{top};
      for (size_t p = 17; p < map.size(); p += 433) pixels.push_back(p);
      for (const size_t p : pixels) {
        double expected = 0;
        for (size_t c = 0; c < 3; ++c) {
          const double h = 1e-6;
          expected =
              std::max(expected, std::abs(moved(3 * p + c, h) - moved(3 * p + c, -h)) / (2 * h));
        }
        INFO("pixel ", p, ": ", map[p], ", numeric ", expected);
        CHECK(std::abs(map[p] - expected) <= 1e-4 * double(largest));
      }
    }
}

TEST_CASE("gradient maps: SmoothGrad [Smilkov 2017] is the mean gradient over noisy images") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    ToyDetector detector(DType::kF64, device);
    const Tensor image = toy_image(device);
    const SmoothGradSpec spec{.samples = 5, .noise = 0.2, .seed = 9, .batch = 2};
    const auto values = image.to_vector<double>();
    const double range = *std::max_element(values.begin(), values.end()) -
                         *std::min_element(values.begin(), values.end());
    Values mean(values.size(), 0);
    for (int k = 0; k < spec.samples; ++k) {
      const auto noisy = noisy_copies(image, k, 1, 0.2 * range, spec.seed).to_vector<double>();
      const Values gradient = toy_gradient(noisy, kCorners, 1, ScoreOf::kBoth);
      for (size_t i = 0; i < mean.size(); ++i) mean[i] += gradient[i] / spec.samples;
    }
    const Tensor map = smooth_grad(detector, image, toy_object(kCorners, 1), ScoreOf::kBoth, spec);
    check_map(map, greatest_of_channels(mean), 1e-6);
    CHECK(detector.predictions == 3);
  }
}

TEST_CASE("gradient maps: SmoothGrad without noise is SimpleGrad, and it repeats itself") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    ToyDetector detector(DType::kF32, device);
    const Tensor image = toy_image(device).cast(DType::kF32);
    const ObjectProposals object = toy_object(kCorners, 2);
    const auto smooth = [&](double noise, uint64_t seed, int batch) {
      return smooth_grad(detector, image, object, ScoreOf::kClass,
                         {.samples = 6, .noise = noise, .seed = seed, .batch = batch});
    };
    const auto simple = simple_grad(detector, image, object, ScoreOf::kClass).to_vector<float>();
    check_map(smooth(0, 1, 4), Values(simple.begin(), simple.end()), 1e-6);
    const auto once = smooth(0.1, 1, 4).to_vector<float>();
    CHECK(smooth(0.1, 1, 4).to_vector<float>() == once);
    CHECK(smooth(0.1, 2, 4).to_vector<float>() != once);
    check_map(smooth(0.1, 1, 1), Values(once.begin(), once.end()), 1e-5);
  }
}

TEST_CASE("gradient maps: Grad-CAM [Selvaraju 2017, equations 1 and 2] of the toy detector") {
  for (const Device device : available_devices())
    for (const ScoreOf score : kScores) {
      CAPTURE(to_string(device));
      CAPTURE(int(score));
      ToyDetector detector(DType::kF64, device);
      const Tensor image = toy_image(device);
      const auto values = image.to_vector<double>();
      const Values gradient = toy_gradient(values, kCorners, 1, score);
      std::array<double, 3> alpha{};
      for (size_t i = 0; i < gradient.size(); ++i)
        alpha[i % 3] += gradient[i] / double(kHeight * kWidth);
      Values expected;
      for (size_t i = 0; i < values.size(); i += 3)
        expected.push_back(std::max(
            0.0, alpha[0] * values[i] + alpha[1] * values[i + 1] + alpha[2] * values[i + 2]));
      const Tensor map = grad_cam(detector, image, toy_object(kCorners, 1), score);
      CHECK(map.shape() == Shape{kHeight, kWidth});
      check_map(map, expected, 1e-6);
    }
}

TEST_CASE(
    "gradient maps: Grad-CAM [Selvaraju 2017, equations 1 and 2] on the pyramid's levels, plain "
    "code and differences") {
  const OneThread one_thread;
  for (const Device device : available_devices())
    for (const ScoreOf score : kScores) {
      CAPTURE(to_string(device));
      CAPTURE(int(score));
      RealScene s(device);
      ExplainedFasterRcnn detector(s.model);
      const std::vector<Variable> layers = detector.features(s.image);
      const std::vector<bool> is_read = s.model.levels_of(s.object.rois(1, device));
      REQUIRE(std::count(is_read.begin(), is_read.end(), true) == 2);
      Values expected(size_t(kInputHeight * kInputWidth), 0);
      double places = 0;
      for (size_t level = 0; level < layers.size(); ++level) {
        if (!is_read[level]) continue;
        const int64_t h = layers[level].dim(1), w = layers[level].dim(2);
        if (places == 0) places = double(h * w);
        const Values cam = plain_cam(detector, layers, level, s, score, places);
        for (int64_t i = 0; i < kInputHeight * kInputWidth; ++i)
          expected[size_t(i)] += resized_at(cam, h, w, i / kInputWidth, i % kInputWidth);
      }
      check_map(grad_cam(detector, s.image, s.object, score), expected, 1e-5);
    }
}

TEST_CASE("gradient maps: the detector stays frozen and maps are the same for any thread count") {
  const int before = threads();
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    FasterRcnn model(tiny_spec(), 4);
    model.visit("", [&](const std::string&, Variable& v) { v = Variable(v.value().to(device)); });
    ExplainedFasterRcnn detector(model);
    const Tensor image = tiny_batch().images.rows(0, 1).to(device);
    const ObjectProposals object = ObjectProposals::of_box({8, 10, 40, 34}, 1);
    const auto all = [&] {
      std::vector<float> maps;
      for (const Tensor& map :
           {simple_grad(detector, image, object), grad_cam(detector, image, object),
            smooth_grad(detector, image, object, ScoreOf::kClass, {.samples = 3, .batch = 2})}) {
        const auto values = map.to_vector<float>();
        CHECK(*std::max_element(values.begin(), values.end()) > 0);
        maps.insert(maps.end(), values.begin(), values.end());
      }
      return maps;
    };
    set_threads(1);
    const auto expected = all();
    set_threads(2);
    CHECK(all() == expected);
    set_threads(before);
    model.visit("", [](const std::string& name, Variable& variable) {
      INFO(name);
      CHECK_FALSE(variable.needs_grad());
      CHECK_FALSE(variable.grad().defined());
    });
  }
}

TEST_CASE("gradient maps: no proposals give a map of zeros, and what does not fit is refused") {
  ToyDetector detector;
  const Tensor image = toy_image(kCpu).cast(DType::kF32);
  const ObjectProposals none{{2, 2, 9, 9}, 1, Tensor::zeros({0, 4})};
  const std::vector<float> zeros(size_t(kHeight * kWidth), 0);
  CHECK(simple_grad(detector, image, none).to_vector<float>() == zeros);
  CHECK(smooth_grad(detector, image, none).to_vector<float>() == zeros);
  CHECK(grad_cam(detector, image, none).to_vector<float>() == zeros);
  for (const int64_t label : {0, 3}) {
    const ObjectProposals wrong = toy_object(kCorners, label);
    CHECK_THROWS_WITH_AS(simple_grad(detector, image, wrong),
                         doctest::Contains("the detector knows 1 to 2"), Error);
    CHECK_THROWS_AS(grad_cam(detector, image, wrong), Error);
  }
  const ObjectProposals object = toy_object(kCorners, 1);
  CHECK_THROWS_AS(simple_grad(detector, Tensor::zeros({2, 9, 9, 3}), object), Error);
  CHECK_THROWS_AS(grad_cam(detector, Tensor::zeros({9, 9, 3}), object), Error);
  for (const SmoothGradSpec& spec :
       {SmoothGradSpec{.samples = 0}, SmoothGradSpec{.batch = 0}, SmoothGradSpec{.noise = -0.1}})
    CHECK_THROWS_AS(smooth_grad(detector, image, object, ScoreOf::kBoth, spec), Error);
}

TEST_CASE("gradient maps: METHOD A5, an object's box alone and its positives on several images") {
  const ObjectProposals own = ObjectProposals::of_box({1, 2, 30, 40}, 7);
  CHECK(own.label == 7);
  CHECK(own.rois(2, kCpu).to_vector<float>() ==
        std::vector<float>{0, 1, 2, 30, 40, 1, 1, 2, 30, 40});
  ToyDetector detector;
  const Tensor image = toy_image(kCpu).cast(DType::kF32);
  const BoxArray box{2, 2, 14, 11};
  const PositiveSpec spec{.proposals = 40, .iou_thresholds = {0.5}, .most = 10};
  const Positives found = find_positives(detector, image, box, 1, spec, 3);
  const Tensor proposals = jittered_proposals(box, kHeight, kWidth, spec, 3);
  const ObjectProposals all{box, 1, proposals};
  const Positives expected = select_positives(detector, detector.predict(image, all.rois(1, kCpu)),
                                              proposals, box, 1, kHeight, kWidth, spec);
  CHECK(found.proposals.dim(0) > 0);
  CHECK(found.proposals.to_vector<float>() == expected.proposals.to_vector<float>());
  CHECK(found.probabilities.to_vector<float>() == expected.probabilities.to_vector<float>());
}
