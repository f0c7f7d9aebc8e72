// The whole of torchvision's RetinaNet on two pictures against ours: the same weights, computed on
// both sides from their names (tests/golden/make_retinanet.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "detectors/retinanet.h"
#include "detectors/rpn.h"
#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/detectors/golden_pictures.h"
#include "tests/detectors/one_thread.h"
#include "tests/golden_weights.h"

using namespace bbam;
using namespace bbam::test;

namespace {

const std::vector<FrameSize> kFrames{{.height = 128, .width = 256}, {.height = 112, .width = 160}};

RetinaNet make_model() {
  RetinaNetSpec spec = RetinaNetSpec::torchvision(20);
  spec.freeze_stages = 0;
  spec.candidates = 60;
  spec.detection.most = 50;
  RetinaNet model(spec, 1);
  fill_by_name(model);
  model.visit("", [](const std::string& name, Variable& v) {
    const double factor = name.ends_with("cls_logits.weight") ? 0.25
                          : name.ends_with("bbox_reg.weight") ? 0.125
                                                              : 1;
    if (factor != 1) v.mutable_value().copy_from(scale(v.detach(), factor).value());
  });
  return model;
}

// Made once: it has 32 million weights.
RetinaNet& shared_model() {
  static RetinaNet model = make_model();
  return model;
}

Tensor pictures() { return golden_pictures(kFrames, 128, 256); }

}  // namespace

TEST_CASE("retinanet golden: torchvision's features, head and anchors") {
  const OneThread one_thread;
  const GoldenSamples golden("retinanet");
  RetinaNet& model = shared_model();
  const NoGrad frozen;
  const std::vector<Variable> features = model.features(pictures());
  std::vector<Shape> shapes;
  for (size_t level = 0; level < 5; ++level) {
    golden.check_sample(join("P", level + 3), features[level].value());
    shapes.push_back(features[level].shape());
  }
  const RetinaNetOutput output = model.head(features);
  golden.check_sample("cls_logits", join_levels(output.class_logits, 20).value());
  golden.check_sample("bbox_regression", join_levels(output.deltas, 4).value());
  std::vector<Variable> anchors;
  for (const Tensor& level : model.anchors(shapes)) anchors.emplace_back(level.as_batch());
  golden.check_sample("anchors", join_levels(anchors, 4).value(), 1e-7);
}

TEST_CASE("retinanet golden: torchvision's detections") {
  const OneThread one_thread;
  const GoldenSamples golden("retinanet");
  const auto detections = shared_model().detect(pictures(), kFrames);
  for (size_t n = 0; n < 2; ++n) {
    const std::string prefix = join("detections.", n, ".");
    check_same_rows(detections[n].boxes, golden.tensors.at(prefix + "boxes"), 0.02);
    CHECK(relative(detections[n].scores.to_vector<float>(), golden.values(prefix + "scores")) <
          1e-4);
    auto labels = detections[n].labels.to_vector<int64_t>();
    auto expected = golden.tensors.at(prefix + "labels").to_vector<int64_t>();
    for (int64_t& label : expected) ++label;
    std::sort(labels.begin(), labels.end());
    std::sort(expected.begin(), expected.end());
    CHECK(labels == expected);
  }
}

TEST_CASE("retinanet golden: torchvision's losses and gradients") {
  const OneThread one_thread;
  const GoldenSamples golden("retinanet");
  RetinaNet& model = shared_model();
  const RetinaNetLosses losses = model.training_losses(pictures(), kFrames, golden_truth(), {});
  CHECK(losses.classification.value().scalar() ==
        close_to(double(golden.values("loss.classification")[0]), 1e-4));
  CHECK(losses.box.value().scalar() ==
        close_to(double(golden.values("loss.bbox_regression")[0]), 1e-4));

  backward(losses.total());
  int compared = 0;
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (golden.tensors.count("gradient." + name + ".values") == 0) return;
    REQUIRE(variable.grad().defined());
    // Loose where rounding may switch a ReLU; see test_golden.cpp.
    const bool is_trunk = name.find("body") != std::string::npos;
    golden.check_sample("gradient." + name, variable.grad(), is_trunk ? 5e-3 : 5e-4);
    ++compared;
  });
  CHECK(compared == 8);
}
