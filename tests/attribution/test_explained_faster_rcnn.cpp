// The gradient that the masks receive through the real detector, frozen, in double.
#include "attribution/explained_faster_rcnn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "attribution/perturb.h"
#include "layers/elementwise.h"
#include "layers/reduce.h"
#include "tests/attribution/double_detector.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 64, kWidth = 96;

// Small RoIs of both images, on more than one level and away from most of each.
Tensor small_rois(Device device) {
  return Tensor::from<float>({0, 8,  10, 26, 30, 0, 50, 20, 70, 34,  //
                              1, 40, 4,  54, 20, 1, 30, 22, 78, 60},
                             {4, 5}, device);
}

// A weighted sum of all that the method reads, so that no two answers can cancel.
Variable weighted(const Variable& answer, uint64_t seed) {
  const Tensor weights = random_tensor(answer.shape(), seed).to(answer.value().device());
  return sum(mul(answer, Variable(weights)));
}

struct Scene {
  FasterRcnn model;
  Device device;
  Tensor image, rois;

  Scene(Norm norm, Device where) : model(small_spec(norm), 6), device(where) {
    make_double_and_lively(model, device);
    image = random_tensor({1, kHeight, kWidth, 3}, 3, -2, 2).to(device);
    rois = small_rois(device);
  }
};

std::vector<Tensor> random_masks(Device device) {
  return {random_tensor({4, 5}, 7, 0.1, 0.9).to(device),
          random_tensor({3, 4}, 8, 0.1, 0.9).to(device)};
}

// Mask -> upsampled -> perturbed -> the detector's answer, for two masks of one image.
Variable answer(ExplainedDetector& detector, const Scene& s, const std::vector<Tensor>& values,
                std::vector<Variable>& masks) {
  masks.clear();
  for (const Tensor& value : values) masks.emplace_back(value.clone(), true);
  const Variable up = upsample_masks(masks, kHeight, kWidth, Corners::kHalfPixel);
  const BoxPredictions p = detector.predict(perturb(s.image, up), s.rois);
  return add(weighted(p.class_logits, 21), weighted(p.deltas, 22));
}

void check_mask_gradients(Norm norm, Device device) {
  Scene s(norm, device);
  ExplainedFasterRcnn detector(s.model);
  std::vector<Variable> masks, discarded;
  const std::vector<Tensor> values = random_masks(device);
  backward(answer(detector, s, values, masks));
  for (size_t k = 0; k < values.size(); ++k) {
    const auto gradient = masks[k].grad().to_vector<double>();
    double largest = 0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    CAPTURE(largest);
    CHECK(largest > 1e-4);
    for (size_t cell = 0; cell < gradient.size(); ++cell) {
      const auto moved = [&](double step) {
        std::vector<Tensor> there = values;
        auto cells = values[k].to_vector<double>();
        cells[cell] += step;
        there[k] = Tensor::from(cells, values[k].shape(), device);
        return answer(detector, s, there, discarded).value().scalar();
      };
      const double h = 1e-6, numeric = (moved(h) - moved(-h)) / (2 * h);
      INFO("mask ", k, " cell ", cell, ": ", gradient[cell], ", numeric ", numeric);
      CHECK(std::abs(numeric - gradient[cell]) <= 1e-5 * largest);
    }
  }
}

using Features = std::vector<Variable>;

// The gradient of the images by the box head's answers on these features of theirs.
std::vector<double> image_gradient(Scene& s, const std::function<Features(const Variable&)>& f) {
  const Tensor both = random_tensor({2, kHeight, kWidth, 3}, 5, -2, 2).to(s.device);
  const Variable images(both, true);
  const BoxHeadOutput output = s.model.box_head(f(images), s.rois);
  backward(add(weighted(output.class_logits, 21), weighted(output.deltas, 22)));
  return images.grad().to_vector<double>();
}

}  // namespace

TEST_CASE("explained faster rcnn: METHOD A3, the masks' gradients against differences in double") {
  const OneThread one_thread;
  for (const Device device : available_devices())
    for (const Norm norm : {Norm::kFrozen, Norm::kBatch}) {
      CAPTURE(to_string(device));
      CAPTURE(int(norm));
      check_mask_gradients(norm, device);
    }
}

TEST_CASE("explained faster rcnn: METHOD A3, features where they are read give the same gradient") {
  const OneThread one_thread;
  for (const Device device : available_devices())
    for (const Norm norm : {Norm::kFrozen, Norm::kBatch}) {
      Scene s(norm, device);
      const ExplainedFasterRcnn frozen(s.model);
      const auto whole = image_gradient(s, [&](const Variable& x) { return s.model.features(x); });
      const auto windows =
          image_gradient(s, [&](const Variable& x) { return s.model.features_for(x, s.rois); });
      REQUIRE(whole.size() == windows.size());
      double largest = 0, worst = 0;
      for (size_t i = 0; i < whole.size(); ++i) {
        largest = std::max(largest, std::abs(whole[i]));
        worst = std::max(worst, std::abs(whole[i] - windows[i]));
      }
      CAPTURE(to_string(device));
      CAPTURE(largest);
      CHECK(largest > 1e-6);
      CHECK(worst <= 1e-10 * largest);
    }
}

TEST_CASE("explained faster rcnn: the windows leave most of the finest level out") {
  const OneThread one_thread;
  Scene s(Norm::kFrozen, kCpu);
  const Tensor both = random_tensor({2, kHeight, kWidth, 3}, 5, -2, 2);
  const auto p2 = s.model.features_for(Variable(both), s.rois)[0].value().to_vector<double>();
  CHECK(s.model.levels_of(s.rois) != std::vector<bool>{true, false, false, false});
  CHECK(std::count(p2.begin(), p2.end(), 0.0) > int64_t(p2.size()) / 2);
  CHECK(std::count(p2.begin(), p2.end(), 0.0) < int64_t(p2.size()));
}

TEST_CASE("explained faster rcnn: METHOD A1, it answers as the detector does, frozen") {
  const OneThread one_thread;
  for (const Device device : available_devices()) {
    Scene s(Norm::kFrozen, device);
    const Tensor both = random_tensor({2, kHeight, kWidth, 3}, 5, -2, 2).to(device);
    const BoxHeadOutput expected = s.model.box_head(s.model.features(Variable(both)), s.rois);
    const auto logits = expected.class_logits.value().to_vector<double>();
    const auto deltas = expected.deltas.value().to_vector<double>();
    ExplainedFasterRcnn detector(s.model);
    for (const BoxPredictions& found :
         {detector.predict(Variable(both), s.rois),
          detector.heads(detector.features(Variable(both)), s.rois)}) {
      CHECK_FALSE(found.class_logits.needs_grad());
      const auto l = found.class_logits.value().to_vector<double>();
      const auto d = found.deltas.value().to_vector<double>();
      for (size_t i = 0; i < l.size(); ++i) CHECK(std::abs(l[i] - logits[i]) <= 1e-12);
      for (size_t i = 0; i < d.size(); ++i) CHECK(std::abs(d[i] - deltas[i]) <= 1e-12);
    }
    s.model.visit("", [](const std::string& name, Variable& variable) {
      INFO(name);
      CHECK_FALSE(variable.needs_grad());
    });
  }
}
