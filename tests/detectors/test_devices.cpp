// The whole detector on each device against the plain loops on the CPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tensor/backend.h"
#include "tests/detectors/tiny_detector.h"

using namespace bbam;

namespace {

DetectorBatch batch_on(Device device) {
  DetectorBatch batch = test::tiny_batch();
  batch.images = batch.images.to(device);
  return batch;
}

using Gradients32 = std::map<std::string, std::vector<float>>;

// Of the losses of one step of a new model.
Gradients32 gradients_on(Device device, Norm norm) {
  FasterRcnnSpec spec = test::tiny_spec();
  spec.resnet.norm = norm;
  FasterRcnn model(spec, 21);
  move_to(model, device);
  model.set_training(true);
  const DetectorBatch batch = batch_on(device);
  backward(model.training_losses(batch.images, batch.frames, batch.truth, {1, 0}).total());
  Gradients32 gradients;
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (variable.needs_grad()) gradients[name] = variable.grad().to_vector<float>();
  });
  return gradients;
}

void check_close(const Gradients32& given, const Gradients32& expected) {
  REQUIRE(given.size() == expected.size());
  for (const auto& [name, values] : expected) {
    double largest = 1e-3, error = 0;
    const std::vector<float>& own = given.at(name);
    for (size_t i = 0; i < values.size(); ++i) {
      largest = std::max(largest, std::abs(double(values[i])));
      error = std::max(error, std::abs(double(own[i]) - double(values[i])));
    }
    INFO(name);
    CHECK(error <= 2e-3 * largest);
  }
}

}  // namespace

TEST_CASE("devices: the detector's gradients are those of the plain loops on the CPU") {
  const test::OneThread one_thread;
  for (Norm norm : {Norm::kFrozen, Norm::kBatch, Norm::kGroup}) {
    Gradients32 expected;
    {
      const UseBackend reference(Backend::kReference);
      expected = gradients_on(kCpu, norm);
    }
    for (Device device : available_devices()) {
      INFO(to_string(device), " norm ", int(norm));
      const Gradients32 given = gradients_on(device, norm);
      check_close(given, expected);
      CHECK(given == gradients_on(device, norm));  // and the same bytes again
    }
  }
}

TEST_CASE("devices: a trained detector finds the same boxes as the plain loops on the CPU") {
  const test::OneThread one_thread;
  FasterRcnnSpec spec = test::tiny_spec();
  spec.detection.score_threshold = 0.5;
  FasterRcnn model(spec, 8);
  {
    Sgd optimizer(parameter_groups(model), 0.9);
    for (int64_t step = 0; step < 60; ++step)
      train_step(model, optimizer, test::tiny_batch(), 0.02, {1, step});
  }
  std::vector<Detections> expected;
  {
    const UseBackend reference(Backend::kReference);
    const DetectorBatch batch = batch_on(kCpu);
    expected = model.detect(batch.images, batch.frames);
  }
  for (Device device : available_devices()) {
    move_to(model, device);
    const DetectorBatch batch = batch_on(device);
    const auto given = model.detect(batch.images, batch.frames);
    for (size_t n = 0; n < expected.size(); ++n) {
      INFO(to_string(device), " image ", n);
      CHECK(expected[n].labels.size() > 0);
      CHECK(given[n].labels.to_vector<int64_t>() == expected[n].labels.to_vector<int64_t>());
      const auto boxes = given[n].boxes.to_vector<float>(),
                 wanted = expected[n].boxes.to_vector<float>();
      const auto scores = given[n].scores.to_vector<float>(),
                 likely = expected[n].scores.to_vector<float>();
      REQUIRE(boxes.size() == wanted.size());
      for (size_t k = 0; k < boxes.size(); ++k)
        CHECK(std::abs(boxes[k] - wanted[k]) < 0.05f);  // px
      for (size_t k = 0; k < scores.size(); ++k) CHECK(std::abs(scores[k] - likely[k]) < 1e-3f);
    }
  }
}
