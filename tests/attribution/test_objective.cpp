#include <doctest/doctest.h>

#include <cmath>

#include "attribution/bbam.h"
#include "attribution/perturb.h"
#include "autograd/gradcheck.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Two masks, three proposals (two of the first object), three classes.
struct Setting {
  std::vector<double> mask_a{0.5, 0.25, 0, 1}, mask_b{0.125, 0.5};
  std::vector<double> logits{0.1, 1, -1, 0.5, 0.2, 0.3, -0.2, 0.4, 2};
  std::vector<double> deltas;
  Device device;
  Targets targets;

  explicit Setting(Device where = kCpu) : device(where) {
    for (int i = 0; i < 36; ++i) deltas.push_back(0.1 * std::sin(i));
    targets = {Tensor::from<int64_t>({1, 1, 2}, {3}, device),
               Tensor::from<int64_t>({0, 0, 1}, {3}, device),
               Tensor::from<double>({0.5, 0.5, 1}, {3}, device),
               Tensor::from<double>({0.9, 0.1, 0.4}, {3}, device),
               Tensor::from<double>({0.1, 0.2, -0.3, 0, 0, 0.5, 0.05, -0.1, 0.3, 0.3, 0.3, 0.3},
                                    {3, 4}, device)};
  }
  std::vector<Variable> masks() const {
    return {Variable(Tensor::from(mask_a, {2, 2}, device), true),
            Variable(Tensor::from(mask_b, {1, 2}, device), true)};
  }
  BoxPredictions predictions() const {
    return {Variable(Tensor::from(logits, {3, 3}, device)),
            Variable(Tensor::from(deltas, {3, 12}, device))};
  }
  double p(int row, int c) const {
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += std::exp(logits[size_t(3 * row + k)]);
    return std::exp(logits[size_t(3 * row + c)]) / sum;
  }
  double box(int row, int c) const {
    const auto t = targets.offsets.to_vector<double>();
    double sum = 0;
    for (int j = 0; j < 4; ++j)
      sum += std::abs(deltas[size_t(12 * row + 4 * c + j)] - t[size_t(4 * row + j)]);
    return sum;
  }
};

double value(const Setting& s, const ObjectiveSpec& spec,
             std::vector<ObjectiveTerms>* terms = nullptr) {
  return objective(s.masks(), s.predictions(), s.targets, spec, terms).value().item<double>();
}

}  // namespace

TEST_CASE("objective: METHOD A3, equation 1, the area term is lambda times the sum of the mask") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Setting s(device);
    std::vector<ObjectiveTerms> terms;
    value(s, {.lambda = 0.007}, &terms);
    CHECK(terms[0].area == close_to(0.007 * 1.75, 1e-9));
    CHECK(terms[1].area == close_to(0.007 * 0.625, 1e-9));
  }
}

TEST_CASE("objective: METHOD A3, equation 2, each head can be left out") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Setting s(device);
    std::vector<ObjectiveTerms> terms;
    const double both = value(s, {.lambda = 0}, &terms);
    const double cls = value(s, {.use_box_head = false, .lambda = 0});
    const double box = value(s, {.use_class_head = false, .lambda = 0});
    CHECK(both == close_to(cls + box, 1e-9));
    CHECK(terms[0].total + terms[1].total == close_to(both, 1e-9));
    // Figure 6(c): the loss of the head that is left out is told, and not minimised.
    for (const bool use_box : {false, true}) {
      std::vector<ObjectiveTerms> alone;
      value(s, {.use_box_head = use_box, .use_class_head = !use_box, .lambda = 0}, &alone);
      CHECK(alone[0].box == close_to(terms[0].box, 1e-9));
      CHECK(alone[1].cls == close_to(terms[1].cls, 1e-9));
      CHECK(alone[0].total + alone[1].total == close_to(use_box ? box : cls, 1e-9));
    }
  }
}

TEST_CASE(
    "objective: METHOD A5, equation 3, plain L1 norms and the expectation over each object's "
    "proposals") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Setting s(device);
    const double cls = 0.5 * std::abs(s.p(0, 1) - 0.9) + 0.5 * std::abs(s.p(1, 1) - 0.1) +
                       std::abs(s.p(2, 2) - 0.4);
    const double box = 0.5 * s.box(0, 1) + 0.5 * s.box(1, 1) + s.box(2, 2);
    CHECK(value(s, {.use_box_head = false, .lambda = 0}) == close_to(cls, 1e-9));
    CHECK(value(s, {.use_class_head = false, .lambda = 0}) == close_to(box, 1e-9));
  }
}

TEST_CASE(
    "objective: METHOD A3, the authors halve both terms, average the offsets and add 1e-4 TV") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Setting s(device);
    const ObjectiveSpec authors = BbamOptions::authors().objective;
    std::vector<ObjectiveTerms> terms;
    value(s, authors, &terms);
    std::vector<ObjectiveTerms> plain;
    value(s, {}, &plain);
    CHECK(terms[0].box == close_to(plain[0].box / 8, 1e-9));
    CHECK(terms[0].cls == close_to(plain[0].cls / 2, 1e-9));
    // Mask a is 2 x 2: two horizontal, two vertical pairs, one on each diagonal, counted twice.
    const auto cube = [](double d) { return std::pow(std::abs(d), 3); };
    const double tv = cube(0.25) + cube(1) + cube(0.5) + cube(0.75) + 2 * (cube(0.5) + cube(0.25));
    CHECK(terms[0].tv == close_to(1e-4 * tv, 1e-9));
    CHECK(plain[0].tv == 0);
  }
}

TEST_CASE("objective: METHOD A3, at 0 the sum pushes and the authors' abs does not") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Setting s(device);
    for (AreaTerm kind : {AreaTerm::kSum, AreaTerm::kAbs}) {
      auto masks = s.masks();
      backward(objective(masks, s.predictions(), s.targets, {.lambda = 0.5, .area = kind}));
      const auto gradient = masks[0].grad().to_vector<double>();
      CHECK(gradient[0] == 0.5);
      CHECK(gradient[2] == (kind == AreaTerm::kSum ? 0.5 : 0));
    }
  }
}

TEST_CASE(
    "objective: METHOD A3, the gradient of the whole objective by the mask, both heads and each "
    "alone") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    ToyDetector detector(DType::kF64, device);
    const Tensor image = random_tensor({1, 24, 32, 3}, 5, -100, 100).to(device);
    const Tensor rois =
        Tensor::from<float>({0, 2, 3, 20, 18, 0, 4, 1, 25, 20, 1, 8, 2, 30, 22}, {3, 5}, device);
    const Setting s(device);
    for (int heads = 1; heads <= 3; ++heads) {
      const ObjectiveSpec spec{
          .use_box_head = (heads & 1) != 0, .use_class_head = (heads & 2) != 0, .tv_weight = 1e-2};
      const auto f = [&](const std::vector<Variable>& masks) {
        const Variable up = upsample_masks(masks, 24, 32, Corners::kHalfPixel);
        return objective(masks, detector.predict(perturb(image, up), rois), s.targets, spec);
      };
      const GradcheckResult result = gradcheck(f, {random_tensor({4, 5}, 6, 0.1, 0.9).to(device),
                                                   random_tensor({3, 4}, 7, 0.1, 0.9).to(device)});
      INFO("heads ", heads, " ", result.where);
      CHECK(result.checked == 32);
      CHECK(result.worst < 1e-6);
    }
  }
}
