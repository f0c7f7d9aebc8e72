#include "segmenters/deeplab_training.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/close.h"
#include "tests/detectors/one_thread.h"
#include "tests/module_copies.h"
#include "tests/segmenters/tiny_deeplab.h"

using namespace bbam;
using test::copies;
using test::values_of;
using namespace bbam::test;

namespace {

constexpr int64_t kShapeClasses = 6;  // with background

// From scratch group norm learns faster than frozen statistics of nothing.
DeepLabSpec learning_spec() {
  DeepLabSpec spec = tiny_deeplab_spec(kShapeClasses);
  spec.resnet.norm = Norm::kGroup;
  spec.resnet.groups = 4;
  spec.resnet.stem_width = 8;
  return spec;
}

DeepLabBatch batch_of(const LabelledImages& pictures) { return {pictures.images, pictures.labels}; }

DeepLabBatch rows_of(const DeepLabBatch& batch, int64_t begin, int64_t end) {
  return {batch.images.rows(begin, end).clone(), batch.labels.rows(begin, end).clone()};
}

// The share of the pixels with a label whose class is that of the cell's largest logit.
double accuracy(DeepLab& model, const DeepLabBatch& batch) {
  const NoGrad constant;
  const Tensor logits = model.multi_scale_logits(batch.images).maximum.value();
  const auto values = logits.to_vector<float>();
  const auto labels =
      resize_labels(batch.labels, logits.dim(1), logits.dim(2)).to_vector<int64_t>();
  const auto classes = size_t(logits.dim(3));
  double right = 0, count = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoredLabel) continue;
    const float* first = &values[i * classes];
    right += std::max_element(first, first + classes) - first == labels[i];
    count += 1;
  }
  return right / count;
}

}  // namespace

TEST_CASE(
    "deeplab training: METHOD B5, 1 x backbone, 10 x ASPP weights, 20 x biases without decay") {
  DeepLab model(tiny_deeplab_spec(), 1);
  const auto groups = deeplab_parameter_groups(model);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].lr_scale == 1);
  CHECK(groups[0].weight_decay == 5e-4);
  CHECK(groups[1].lr_scale == 10);
  CHECK(groups[1].weight_decay == 5e-4);
  CHECK(groups[2].lr_scale == 20);
  CHECK(groups[2].weight_decay == 0);
  CHECK(groups[1].names ==
        std::vector<std::string>{"aspp.c0.weight", "aspp.c1.weight", "aspp.c2.weight"});
  CHECK(groups[2].names ==
        std::vector<std::string>{"aspp.c0.bias", "aspp.c1.bias", "aspp.c2.bias"});
  // Every convolution of ResNet-18, the stem included, and no norm.
  CHECK(groups[0].names.size() == 20);
  CHECK(groups[0].names[0] == "backbone.body.conv1.weight");
  for (const Variable& parameter : groups[0].parameters) CHECK(parameter.rank() == 4);
}

TEST_CASE("deeplab training: METHOD B5, rate 2.5e-4, poly 0.9 renewed every 10 iterations") {
  const Schedule schedule = deeplab_schedule();
  CHECK(schedule.rate(0) == 2.5e-4);
  CHECK(schedule.rate(9) == 2.5e-4);
  CHECK(schedule.rate(10019) == close_to(2.5e-4 * std::pow(0.4995, 0.9), 1e-12));
  CHECK(deeplab_schedule(100).rate(99) == close_to(2.5e-4 * std::pow(0.1, 0.9), 1e-12));
  CHECK(kDeepLabAccumulation == 2);
}

TEST_CASE("deeplab training: METHOD B5, two accumulated batches are one batch of both") {
  const OneThread one_thread;
  DeepLabBatch both = batch_of(shape_images(4, 65, 49));
  // Means over unequally many pixels would not add up.
  uint8_t* label = both.labels.mutable_data<uint8_t>();
  std::replace(label, label + both.labels.size(), uint8_t(kIgnoredLabel), uint8_t(0));
  std::map<std::string, Tensor> start, results[2];
  StepValues values[2];
  for (int k = 0; k < 2; ++k) {
    DeepLab model(learning_spec(), 4);
    start = copies(model);
    Sgd optimizer(deeplab_parameter_groups(model));
    const auto parts =
        k == 0 ? std::vector{both} : std::vector{rows_of(both, 0, 2), rows_of(both, 2, 4)};
    values[k] = train_step(model, optimizer, parts, 0.01, 0);
    results[k] = copies(model);
  }
  CHECK(values[0].total == close_to(values[1].total, 1e-6));
  REQUIRE(values[0].terms.size() == values[1].terms.size());
  double sum = 0;
  for (size_t k = 0; k < values[0].terms.size(); ++k) {
    CHECK(values[0].terms[k] == close_to(values[1].terms[k], 1e-6));
    sum += values[0].terms[k];
  }
  CHECK(values[0].total == close_to(sum, 1e-6));
  for (const auto& [name, tensor] : start) {
    if (name.find("running") != std::string::npos) continue;
    const auto before = tensor.to_vector<float>(), one = results[0].at(name).to_vector<float>(),
               two = results[1].at(name).to_vector<float>();
    double change = 0, difference = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      change = std::max(change, double(std::abs(one[i] - before[i])));
      difference = std::max(difference, double(std::abs(one[i] - two[i])));
    }
    INFO(name);
    CHECK(change > 0);
    CHECK(difference < 2e-3 * change);
  }
}

TEST_CASE("deeplab training: a tiny DeepLab learns two pictures") {
  const OneThread one_thread;
  DeepLab model(learning_spec(), 5);
  Sgd optimizer(deeplab_parameter_groups(model));
  const DeepLabBatch batch = batch_of(shape_images(2, 97, 73));
  const double first = train_step(model, optimizer, {batch}, 2e-3, 0).total;
  double last = 0;
  for (int64_t step = 1; step < 60; ++step)
    last = train_step(model, optimizer, {batch}, 2e-3, step).total;
  const double right = accuracy(model, batch);
  MESSAGE("loss ", first, " -> ", last, ", pixels right ", right);
  CHECK(first == close_to(4 * std::log(double(kShapeClasses)), 0.1));
  CHECK(last < first / 8);
  CHECK(right > 0.95);
}

TEST_CASE("deeplab training: stopped and resumed equals uninterrupted, byte for byte") {
  const OneThread one_thread;
  const DeepLabBatch batch = batch_of(shape_images(2, 65, 49));
  const std::vector<DeepLabBatch> parts{rows_of(batch, 0, 1), rows_of(batch, 1, 2)};
  DeepLab model(learning_spec(), 9);
  Sgd optimizer(deeplab_parameter_groups(model));
  std::map<std::string, Tensor> weights, state;
  for (int64_t step = 0; step < 4; ++step) {
    if (step == 2) {
      weights = copies(model);
      state = optimizer.state();
    }
    train_step(model, optimizer, parts, 1e-3, step);
  }
  DeepLab resumed(learning_spec(), 10);
  load_tensors(resumed, weights, "step 2");
  Sgd resumed_optimizer(deeplab_parameter_groups(resumed));
  resumed_optimizer.load_state(state);
  for (int64_t step = 2; step < 4; ++step)
    train_step(resumed, resumed_optimizer, parts, 1e-3, step);
  CHECK(values_of(named_tensors(model)) == values_of(named_tensors(resumed)));
  CHECK(values_of(optimizer.state()) == values_of(resumed_optimizer.state()));
}

namespace {

// Puts a NaN into the named parameter, and expects the next step to refuse and to change nothing.
void check_refusal(const std::string& parameter, const char* message) {
  DeepLab model(tiny_deeplab_spec(kShapeClasses), 11);
  Sgd optimizer(deeplab_parameter_groups(model));
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (name == parameter) variable.mutable_value().fill(NAN);
  });
  const auto before = copies(model), state = optimizer.state();
  const DeepLabBatch batch = batch_of(shape_images(1, 65, 49));
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, {batch, batch}, 0.01, 42),
                       doctest::Contains(message), Error);
  for (const auto& [name, tensor] : named_tensors(model)) {
    INFO(name);
    if (name != parameter) CHECK(tensor.to_vector<float>() == before.at(name).to_vector<float>());
  }
  CHECK(values_of(optimizer.state()) == values_of(state));
}

}  // namespace

TEST_CASE("deeplab training: a loss or a gradient that is not finite changes nothing and says so") {
  const OneThread one_thread;
  check_refusal("aspp.c0.bias", "training step 42: the loss is not finite");
  // oneDNN's fused ReLU turns the NaN of this convolution into 0, so that the loss is finite.
  check_refusal("backbone.body.layer4.1.conv1.weight",
                "training step 42: the gradient of backbone.body");
  DeepLab model(tiny_deeplab_spec(), 1);
  Sgd optimizer(deeplab_parameter_groups(model));
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, {}, 0.01, 3),
                       "training step 3: 0 parts; expected at least one", Error);
}
