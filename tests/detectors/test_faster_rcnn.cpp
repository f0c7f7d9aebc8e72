#include "detectors/faster_rcnn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/elementwise.h"
#include "layers/reduce.h"
#include "tests/close.h"
#include "tests/detectors/tiny_detector.h"

using namespace bbam;

namespace {

std::map<std::string, std::vector<float>> gradients_of(Module& module) {
  std::map<std::string, std::vector<float>> gradients;
  module.visit("", [&](const std::string& name, Variable& variable) {
    if (variable.grad().defined()) gradients[name] = variable.grad().to_vector<float>();
  });
  return gradients;
}

// Every parameter and buffer in double.
void to_double(Module& module) {
  module.visit("", [](const std::string&, Variable& variable) {
    variable = Variable(variable.value().cast(DType::kF64), variable.needs_grad());
  });
}

}  // namespace

TEST_CASE("faster rcnn: METHOD B1, the defaults") {
  const FasterRcnnSpec spec;
  CHECK(spec.resnet.depth == 101);
  CHECK(spec.resnet.stride_in_1x1);
  CHECK(spec.resnet.norm == Norm::kFrozen);
  CHECK(spec.freeze_stages == 2);
  CHECK(spec.fpn.channels == 256);
  CHECK(spec.fpn.top_down == TopDown::kBilinear);  // METHOD B2
  CHECK(spec.legacy_plus_one);
  CHECK(spec.rpn.anchors.style == AnchorStyle::kLegacy);
  CHECK(spec.roi_heads.pooler.finest == 2);
  CHECK(spec.roi_heads.pooler.coarsest == 5);
}

TEST_CASE("faster rcnn: METHOD B1, stem and res2 are frozen, the rest is trained") {
  const test::OneThread one_thread;
  FasterRcnnSpec spec = test::tiny_spec();
  spec.freeze_stages = 2;
  FasterRcnn model(spec, 1);
  int frozen = 0, trained = 0;
  model.visit("", [&](const std::string& name, Variable& variable) {
    const bool is_early = name.rfind("backbone.body.conv1", 0) == 0 ||
                          name.rfind("backbone.body.bn1", 0) == 0 ||
                          name.rfind("backbone.body.layer1", 0) == 0;
    INFO(name);
    CHECK(variable.needs_grad() == !is_early);
    (is_early ? frozen : trained) += 1;
  });
  CHECK(frozen > 0);
  CHECK(trained > 30);
}

TEST_CASE("faster rcnn: METHOD B1, P6 is every second pixel of P5") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 2);
  const auto features = model.features(test::tiny_batch().images);
  REQUIRE(features.size() == 4);
  CHECK(features[0].shape() == Shape{2, 16, 24, 16});
  CHECK(features[3].shape() == Shape{2, 2, 3, 16});
  const RpnOutput output = model.rpn(features);
  REQUIRE(output.objectness.size() == 5);
  const Tensor& p5 = output.objectness[3].value();
  const Tensor& p6 = output.objectness[4].value();
  CHECK(p5.shape() == Shape{2, 2, 3, 3});
  CHECK(p6.shape() == Shape{2, 1, 2, 3});
  // The head serves all levels: with those pixels of P5 in P5's place it says what it says of P6.
  const float* from = features[3].value().data<float>();
  std::vector<float> every_second;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t x = 0; x < 3; x += 2) {
      const float* pixel = from + (n * 2 * 3 + x) * 16;  // row 0
      every_second.insert(every_second.end(), pixel, pixel + 16);
    }
  auto replaced = features;
  replaced[3] = Variable(Tensor::from(every_second, {2, 1, 2, 16}));
  const RpnOutput expected = model.rpn(replaced);
  CHECK(p6.to_vector<float>() == expected.objectness[3].value().to_vector<float>());
  CHECK(output.deltas[4].value().to_vector<float>() ==
        expected.deltas[3].value().to_vector<float>());
}

TEST_CASE("faster rcnn: only the levels asked for, and those that RoIs need") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 2);
  const Tensor images = test::tiny_batch().images;
  const Tensor rois = Tensor::from<float>({0, 4, 4, 16, 20, 1, 10, 10, 12, 12}, {2, 5});
  CHECK(model.levels_of(rois) == std::vector<bool>{true, false, false, false});
  const auto all = model.features(images);
  const auto some = model.features_for(images, rois);
  CHECK_FALSE(some[1].defined());
  const auto expected = model.box_head(all, rois).deltas.value().to_vector<float>();
  const auto given = model.box_head(some, rois).deltas.value().to_vector<float>();
  double largest = 0;
  for (const float v : expected) largest = std::max(largest, double(std::abs(v)));
  CHECK(largest > 0);
  REQUIRE(given.size() == expected.size());
  for (size_t i = 0; i < given.size(); ++i)  // another extent may sum in another order
    CHECK(given[i] == test::close_to(expected[i], 1e-5, largest));
}

TEST_CASE("faster rcnn: decoding box head deltas moves the RoI per class") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 2);
  const Tensor rois = Tensor::from<float>({1, 10, 20, 30, 40}, {1, 5});
  const Tensor deltas = Tensor::from<float>({0, 0, 0, 0, 10, 0, 0, 0, 0, -5, 0, 0}, {1, 12});
  const auto boxes = model.decode(deltas, rois).to_vector<float>();
  const std::vector<float> expected{10, 20, 30, 40, 30, 20, 50, 40, 10, 10, 30, 30};
  REQUIRE(boxes.size() == expected.size());
  for (size_t k = 0; k < boxes.size(); ++k) CHECK(boxes[k] == test::close_to(expected[k], 1e-6));
}

TEST_CASE("faster rcnn: detections lie in their pictures, best first") {
  const test::OneThread one_thread;
  FasterRcnnSpec spec = test::tiny_spec();
  spec.detection.score_threshold = 0.01;
  FasterRcnn model(spec, 3);
  const DetectorBatch batch = test::tiny_batch();
  const auto detections = model.detect(batch.images, batch.frames);
  REQUIRE(detections.size() == 2);
  for (size_t n = 0; n < 2; ++n) {
    const auto scores = detections[n].scores.to_vector<float>();
    CHECK(scores.size() > 10);
    CHECK(scores.size() <= 100);
    CHECK(std::is_sorted(scores.rbegin(), scores.rend()));
    for (int64_t label : detections[n].labels.to_vector<int64_t>())
      CHECK((label == 1 || label == 2));
    const auto corners = detections[n].boxes.to_vector<float>();
    for (size_t i = 0; i < corners.size(); i += 4) {
      CHECK(corners[i] >= 0);
      CHECK(corners[i + 1] >= 0);
      CHECK(corners[i + 2] <= float(batch.frames[n].width));
      CHECK(corners[i + 3] <= float(batch.frames[n].height));
    }
  }
}

TEST_CASE("faster rcnn: wrong input and contradictory specifications are refused") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 3);
  DetectorBatch batch = test::tiny_batch();
  CHECK_THROWS_AS(model.detect(batch.images, {{.height = 64, .width = 97}, batch.frames[1]}),
                  Error);
  CHECK_THROWS_AS(model.detect(batch.images, {batch.frames[0]}), Error);
  batch.truth[1].labels = Tensor::from<int64_t>({3});
  CHECK_THROWS_WITH_AS(model.training_losses(batch.images, batch.frames, batch.truth, {}),
                       doctest::Contains("label 3; expected 1 to 2"), Error);
  FasterRcnnSpec spec = test::tiny_spec();
  spec.rpn.anchors.sizes_px = {32, 64};
  spec.rpn.anchors.strides_px = {4, 8};
  CHECK_THROWS_AS(FasterRcnn(spec, 1), Error);
}

TEST_CASE("faster rcnn: losses and gradients depend on seed and step, not on threads") {
  const DetectorBatch batch = test::tiny_batch();
  const auto run = [&](StepSeed step, int count) {
    const int before = threads();
    set_threads(count);
    FasterRcnn model(test::tiny_spec(), 4);
    const DetectorLosses losses =
        model.training_losses(batch.images, batch.frames, batch.truth, step);
    backward(losses.total());
    set_threads(before);
    return std::pair(losses.total().value().scalar(), gradients_of(model));
  };
  const auto first = run({1, 5}, 1);
  CHECK(first.second.size() > 50);
  CHECK(first == run({1, 5}, 2));
  CHECK(first != run({1, 6}, 1));
  CHECK(first != run({2, 5}, 1));
}

TEST_CASE("faster rcnn: every device computes the same losses and detections") {
  const test::OneThread one_thread;
  const DetectorBatch batch = test::tiny_batch();
  FasterRcnnSpec spec = test::tiny_spec();
  spec.detection.score_threshold = 0.01;
  const auto run = [&](Device device) {
    FasterRcnn model(spec, 4);
    move_to(model, device);
    const Tensor images = batch.images.to(device);
    const DetectorLosses losses = model.training_losses(images, batch.frames, batch.truth, {1, 5});
    backward(losses.total());
    return std::pair(losses.total().value().scalar(),
                     model.detect(images, batch.frames)[0].scores.to_vector<float>());
  };
  const auto [loss, scores] = run(kCpu);
  CHECK(loss > 0);
  CHECK(scores.size() > 10);
  for (Device device : available_devices()) {
    const auto [other_loss, other_scores] = run(device);
    INFO(to_string(device));
    CHECK(other_loss == test::close_to(loss, 1e-4));
    CHECK(other_scores.front() == test::close_to(scores.front(), 1e-4));
  }
}

TEST_CASE("faster rcnn: METHOD A3, the box head's answers have gradients on the image alone") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 5);
  freeze(model);
  const Variable images(test::tiny_batch().images, true);
  const Tensor rois = Tensor::from<float>({0, 8, 10, 40, 34}, {1, 5});
  const auto features = model.features_for(images, rois);
  const BoxHeadOutput output = model.box_head(features, rois);
  backward(add(sum(abs(output.class_logits)), sum(abs(output.deltas))));
  REQUIRE(images.grad().defined());
  const auto gradient = images.grad().to_vector<float>();
  const size_t half = gradient.size() / 2;
  CHECK(std::any_of(gradient.begin(), gradient.begin() + int64_t(half),
                    [](float g) { return g != 0; }));
  CHECK(std::all_of(gradient.begin() + int64_t(half), gradient.end(),
                    [](float g) { return g == 0; }));  // the RoI lies on the first image
  CHECK(gradients_of(model).empty());
}

TEST_CASE("faster rcnn: the whole loss's gradient against differences in double") {
  const test::OneThread one_thread;
  FasterRcnnSpec spec = test::tiny_spec();
  spec.resnet.stem_width = 4;
  spec.fpn.channels = 6;
  spec.roi_heads.head_width = 10;
  spec.roi_heads.sampler.per_image = 12;
  FasterRcnn model(spec, 6);
  to_double(model);
  const DetectorBatch batch = test::tiny_batch();
  const Variable images(batch.images.cast(DType::kF64));

  // Fixed samples: choosing them is not differentiable, nor differentiated.
  const auto features = model.features(images);
  const RpnOutput output = model.rpn(features);
  const RpnSample anchors = sample_rpn(anchors_of(output, spec.rpn.anchors), batch.frames,
                                       batch.truth, spec.rpn, true, {});
  const RoiSample rois = sample_rois(model.propose(output, batch.frames, spec.rpn.train_proposals),
                                     batch.truth, spec.roi_heads, {});
  REQUIRE(anchors.positive_rows.size() > 0);
  REQUIRE(rois.positive_rows.size() > 0);
  const auto loss = [&] {
    const auto levels = model.features(images);
    const RpnLosses first = rpn_losses(model.rpn(levels), anchors, spec.rpn.beta);
    const BoxHeadLosses second =
        box_head_losses(model.box_head(levels, rois.rois), rois, spec.roi_heads.beta);
    return DetectorLosses{first.objectness, first.box, second.classification, second.box}.total();
  };
  backward(loss());

  const std::vector<std::string> names{"backbone.body.conv1.weight",
                                       "backbone.body.layer2.0.conv1.weight",
                                       "backbone.fpn.inner_blocks.2.weight",
                                       "backbone.fpn.layer_blocks.0.bias",
                                       "rpn.head.conv.weight",
                                       "rpn.head.bbox_pred.weight",
                                       "roi_heads.box_head.fc6.weight",
                                       "roi_heads.box_predictor.bbox_pred.weight"};
  int checked = 0;
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (std::find(names.begin(), names.end(), name) == names.end()) return;
    const NoGrad frozen;
    REQUIRE(variable.grad().defined());
    double* value = variable.mutable_value().mutable_data<double>();
    const auto gradient = variable.grad().to_vector<double>();
    const double largest =
        std::abs(*std::max_element(gradient.begin(), gradient.end(),
                                   [](double a, double b) { return std::abs(a) < std::abs(b); }));
    for (size_t k = 0; k < gradient.size(); k += gradient.size() / 3 + 1) {
      const double before = value[k], step = 1e-6;
      variable.mutable_value().mutable_data<double>()[k] = before + step;
      const double above = loss().value().scalar();
      variable.mutable_value().mutable_data<double>()[k] = before - step;
      const double below = loss().value().scalar();
      variable.mutable_value().mutable_data<double>()[k] = before;
      INFO(name, " element ", k);
      CHECK(std::abs((above - below) / (2 * step) - gradient[k]) < 1e-5 * largest + 1e-8);
      ++checked;
    }
  });
  CHECK(checked >= 20);
}
