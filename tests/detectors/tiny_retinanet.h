// A RetinaNet small enough to train in a test.
#pragma once
#include <utility>

#include "detectors/retinanet.h"
#include "tests/detectors/tiny_detector.h"

namespace bbam::test {

// For the pictures of tiny_batch().
inline RetinaNetSpec tiny_retinanet_spec() {
  RetinaNetSpec spec;
  spec.classes = 2;
  spec.resnet = {.depth = 18, .norm = Norm::kGroup, .groups = 2, .stem_width = 8};
  spec.fpn.channels = 16;
  spec.freeze_stages = 0;
  spec.anchors.sizes_px = {14, 24, 36, 48, 64};
  spec.anchors.scales = {1, 1.25};
  spec.convolutions = 2;
  spec.prior = 0.1;  // there is no time to climb from 0.01
  return spec;
}

// First and last loss of so many steps on one batch.
inline std::pair<double, double> train(RetinaNet& model, const DetectorBatch& batch, int steps) {
  Adam optimizer(parameter_groups(model));
  double first = 0, last = 0;
  for (int step = 0; step < steps; ++step) {
    const Variable loss =
        model.training_losses(batch.images, batch.frames, batch.truth, {1, step}).total();
    last = loss.value().scalar();
    if (step == 0) first = last;
    optimizer.clear_gradients();
    backward(loss);
    optimizer.step(0.003);
  }
  return {first, last};
}

}  // namespace bbam::test
