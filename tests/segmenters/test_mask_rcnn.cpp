#include "segmenters/mask_rcnn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "segmenters/mask_targets.h"
#include "segmenters/paste_masks.h"
#include "tensor/backend.h"
#include "tests/close.h"
#include "tests/detectors/tiny_detector.h"

using namespace bbam;
using test::OneThread;

namespace {

MaskRcnnSpec tiny_mask_spec() {
  MaskRcnnSpec spec;
  spec.detector = test::tiny_spec();
  spec.mask_head = {.pooler = {.bins = 7, .canonical_size_px = 56}, .convs = 2, .width = 16};
  return spec;
}

// tests/detectors/tiny_detector.h, whose objects are now discs: their boxes' corners are ground.
MaskRcnnBatch tiny_mask_batch() {
  MaskRcnnBatch batch{test::tiny_batch(), {}};
  float* pixel = batch.detector.images.mutable_data<float>();
  const Random noise(8);
  for (size_t n = 0; n < 2; ++n) {
    const GroundTruth& truth = batch.detector.truth[n];
    const FrameSize frame = batch.detector.frames[n];
    const int64_t count = truth.boxes.dim(0);
    Tensor masks = Tensor::zeros({count, frame.height, frame.width}, DType::kU8);
    for (int64_t g = 0; g < count; ++g) {
      const Box<float> box = box_at(truth.boxes.data<float>(), g);
      for (int64_t y = int64_t(box.y0); y < int64_t(box.y1); ++y)
        for (int64_t x = int64_t(box.x0); x < int64_t(box.x1); ++x) {
          const float u = (float(x) + 0.5f - box.x0) / (box.x1 - box.x0) * 2 - 1;
          const float v = (float(y) + 0.5f - box.y0) / (box.y1 - box.y0) * 2 - 1;
          const bool is_object = u * u + v * v < 1;
          masks.mutable_data<uint8_t>()[(g * frame.height + y) * frame.width + x] = is_object;
          const int64_t at = ((int64_t(n) * 64 + y) * 96 + x) * 3;
          for (int64_t c = 0; c < 3 && !is_object; ++c)
            pixel[at + c] = float(noise.uniform(uint64_t(at + c), -0.2, 0.2));
        }
    }
    batch.masks.push_back(masks);
  }
  return batch;
}

MaskRcnnLosses losses_of(MaskRcnn& model, const MaskRcnnBatch& batch, StepSeed step = {1, 0}) {
  return model.training_losses(batch.detector.images, batch.detector.frames, batch.detector.truth,
                               batch.masks, step);
}

std::vector<float> flat_gradients(Module& module) {
  std::vector<float> all;
  module.visit("", [&](const std::string&, Variable& variable) {
    if (!variable.grad().defined()) return;
    const auto values = variable.grad().to_vector<float>();
    all.insert(all.end(), values.begin(), values.end());
  });
  return all;
}

// IoU of the pasted mask of a detection with the mask of an object, in the frame.
double mask_overlap(const SegmentedInstances& found, int64_t d, const Tensor& masks, int64_t g) {
  const FrameSize frame{.height = masks.dim(1), .width = masks.dim(2)};
  const int64_t side = found.masks.dim(1);
  const Tensor cells = found.masks.rows(d, d + 1).reshape({side, side});
  const Box<float> box = box_at(found.detections.boxes.data<float>(), d);
  const auto a = pasted_above(paste_mask(cells, box, frame)).to_vector<uint8_t>();
  const auto b = masks.rows(g, g + 1).to_vector<uint8_t>();
  int64_t both = 0, either = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += a[i] && b[i];
    either += a[i] || b[i];
  }
  return double(both) / double(std::max<int64_t>(either, 1));
}

}  // namespace

TEST_CASE("mask rcnn: METHOD B1, the table row BBAM_VOC_aug_FPN_R101_MaskRCNN") {
  const MaskRcnnSpec spec;
  CHECK(spec.detector.rpn.anchors.sizes_px == std::vector<double>{21, 42, 84, 168, 332});
  CHECK(spec.detector.rpn.anchors.strides_px == std::vector<int64_t>{4, 8, 16, 32, 64});
  CHECK(spec.detector.resnet.depth == 101);
  CHECK(spec.detector.classes == 20);
  CHECK(spec.mask_head.pooler.bins == 14);
  CHECK(spec.loss == MaskLoss::kSeedGrowing);
}

TEST_CASE("mask rcnn: the detector inside is a Faster R-CNN of the same seed") {
  const OneThread one_thread;
  MaskRcnn model(tiny_mask_spec(), 4);
  FasterRcnn alone(test::tiny_spec(), 4);
  const auto tensors = named_tensors(model), expected = named_tensors(alone);
  for (const auto& [name, tensor] : expected)
    CHECK(tensors.at(name).to_vector<float>() == tensor.to_vector<float>());
  CHECK(tensors.size() == expected.size() + 8);
  CHECK(tensors.count("roi_heads.mask_head.mask_fcn2.weight") == 1);
  CHECK(tensors.count("roi_heads.mask_predictor.conv5_mask.bias") == 1);

  const MaskRcnnBatch batch = tiny_mask_batch();
  const auto& [images, frames, truth] = batch.detector;
  const DetectorLosses own = losses_of(model, batch).detector;
  const DetectorLosses other = alone.training_losses(images, frames, truth, {1, 0});
  CHECK(own.total().value().scalar() == other.total().value().scalar());
  const auto found = model.segment(images, frames);
  const auto detected = alone.detect(images, frames);
  for (size_t n = 0; n < 2; ++n) {
    const Detections& given = found[n].detections;
    CHECK(given.boxes.to_vector<float>() == detected[n].boxes.to_vector<float>());
    CHECK(given.labels.to_vector<int64_t>() == detected[n].labels.to_vector<int64_t>());
    CHECK(found[n].masks.shape() == Shape{detected[n].labels.dim(0), 14, 14});
  }
}

TEST_CASE("mask rcnn: the loss is of positives and of the true class's mask alone") {
  const OneThread one_thread;
  for (const MaskLoss loss : {MaskLoss::kPlain, MaskLoss::kBalanced, MaskLoss::kSeedGrowing}) {
    MaskRcnnSpec spec = tiny_mask_spec();
    spec.loss = loss;
    MaskRcnn model(spec, 5);
    const MaskRcnnBatch batch = tiny_mask_batch();
    const auto& [images, frames, truth] = batch.detector;
    // The same by hand: every class's masks of the positives, then the cells of the true one.
    const TrainingPass pass = model.detector().training_pass(images, frames, truth, {1, 0});
    const auto rows = pass.rois.positive_rows.to_vector<int64_t>();
    const auto labels = pass.rois.labels.to_vector<int64_t>();
    const auto objects = pass.rois.objects.to_vector<int64_t>();
    REQUIRE(rows.size() >= 3);
    std::vector<float> chosen, rois;
    for (size_t p = 0; p < rows.size(); ++p) {
      const float* roi = pass.rois.rois.data<float>() + 5 * rows[p];
      rois.insert(rois.end(), roi, roi + 5);
      const int64_t label = labels[size_t(rows[p])];
      CHECK(truth[size_t(roi[0])].labels.data<int64_t>()[objects[p]] == label);
    }
    const auto count = int64_t(rows.size());
    const Tensor positives = Tensor::from(rois, {count, 5});
    const auto logits = model.mask_head(pass.features, positives).value().to_vector<float>();
    REQUIRE(logits.size() == rows.size() * 14 * 14 * 3);
    for (size_t p = 0; p < rows.size(); ++p)
      for (size_t cell = 0; cell < 14 * 14; ++cell)
        chosen.push_back(logits[(p * 14 * 14 + cell) * 3 + size_t(labels[size_t(rows[p])])]);
    const Tensor seeds = mask_targets(batch.masks, positives, pass.rois.objects, 14);
    const double expected =
        mask_loss(Variable(Tensor::from(chosen, {count, 14, 14})), seeds, loss).value().scalar();
    CHECK(expected > 0);
    CHECK(losses_of(model, batch).mask.value().scalar() == test::close_to(expected, 1e-5));
  }
}

TEST_CASE("mask rcnn: without objects the mask loss is 0 and trains nothing") {
  const OneThread one_thread;
  MaskRcnn model(tiny_mask_spec(), 6);
  MaskRcnnBatch batch = tiny_mask_batch();
  for (size_t n = 0; n < 2; ++n) {
    const FrameSize frame = batch.detector.frames[n];
    batch.detector.truth[n] = {Tensor::zeros({0, 4}), Tensor::from(std::vector<int64_t>{})};
    batch.masks[n] = Tensor::zeros({0, frame.height, frame.width}, DType::kU8);
  }
  const MaskRcnnLosses losses = losses_of(model, batch);
  CHECK(losses.mask.value().scalar() == 0);
  CHECK(losses.total().value().scalar() == losses.detector.total().value().scalar());
  backward(losses.total());
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (name.find("mask") == std::string::npos || !variable.grad().defined()) return;
    for (const float g : variable.grad().to_vector<float>()) CHECK(g == 0);
  });
}

TEST_CASE("mask rcnn: a picture without detections has no masks") {
  const OneThread one_thread;
  MaskRcnnSpec spec = tiny_mask_spec();
  spec.detector.detection.score_threshold = 1;
  MaskRcnn model(spec, 6);
  const DetectorBatch batch = test::tiny_batch();
  for (const SegmentedInstances& found : model.segment(batch.images, batch.frames))
    CHECK(found.masks.shape() == Shape{0, 14, 14});
}

TEST_CASE("mask rcnn: masks that do not go with the pictures are refused") {
  const OneThread one_thread;
  MaskRcnn model(tiny_mask_spec(), 6);
  const MaskRcnnBatch good = tiny_mask_batch();
  MaskRcnnBatch batch = good;
  batch.masks.pop_back();
  CHECK_THROWS_WITH_AS(losses_of(model, batch), doctest::Contains("masks of 1 images"), Error);
  batch = good;
  batch.masks[0] = Tensor::zeros({1, 64, 96}, DType::kU8);  // of two objects
  CHECK_THROWS_WITH_AS(losses_of(model, batch), doctest::Contains("masks of image 0"), Error);
  batch = good;
  batch.masks[1] = Tensor::zeros({1, 64, 96}, DType::kU8);  // of the padded batch
  CHECK_THROWS_AS(losses_of(model, batch), Error);
  batch = good;
  batch.masks[1] = Tensor::zeros({1, 56, 80});
  CHECK_THROWS_AS(losses_of(model, batch), Error);
  MaskRcnnSpec spec = tiny_mask_spec();
  spec.mask_head.pooler.finest = 3;
  CHECK_THROWS_AS(MaskRcnn(spec, 1), Error);
}

TEST_CASE("mask rcnn: losses and gradients depend on seed and step, not on threads") {
  const MaskRcnnBatch batch = tiny_mask_batch();
  const auto run = [&](StepSeed step, int count) {
    const int before = threads();
    set_threads(count);
    MaskRcnn model(tiny_mask_spec(), 4);
    const MaskRcnnLosses losses = losses_of(model, batch, step);
    backward(losses.total());
    set_threads(before);
    return std::pair(losses.total().value().scalar(), flat_gradients(model));
  };
  const auto first = run({1, 5}, 1);
  CHECK(first == run({1, 5}, 2));
  CHECK(first != run({1, 6}, 1));
}

TEST_CASE("mask rcnn: every device computes the same losses and gradients") {
  const OneThread one_thread;
  const auto run = [](Device device) {
    MaskRcnn model(tiny_mask_spec(), 4);
    move_to(model, device);
    MaskRcnnBatch batch = tiny_mask_batch();
    batch.detector.images = batch.detector.images.to(device);
    const MaskRcnnLosses losses = losses_of(model, batch);
    backward(losses.total());
    return std::pair(losses.mask.value().scalar(), flat_gradients(model));
  };
  std::pair<double, std::vector<float>> expected;
  {
    const UseBackend reference(Backend::kReference);
    expected = run(kCpu);
  }
  double largest = 0;
  for (const float g : expected.second) largest = std::max(largest, double(std::abs(g)));
  for (Device device : available_devices()) {
    INFO(to_string(device));
    const auto [loss, gradients] = run(device);
    CHECK(loss == test::close_to(expected.first, 1e-4));
    REQUIRE(gradients.size() == expected.second.size());
    double worst = 0;
    for (size_t i = 0; i < gradients.size(); ++i)
      worst = std::max(worst, std::abs(double(gradients[i]) - double(expected.second[i])));
    CHECK(worst <= 2e-3 * largest);
  }
}

TEST_CASE("mask rcnn: a tiny one learns boxes, classes and masks of two pictures") {
  const OneThread one_thread;
  for (const MaskLoss loss : {MaskLoss::kPlain, MaskLoss::kSeedGrowing}) {
    MaskRcnnSpec spec = tiny_mask_spec();
    spec.loss = loss;
    MaskRcnn model(spec, 8);
    Sgd optimizer(parameter_groups(model), 0.9);
    const MaskRcnnBatch batch = tiny_mask_batch();
    StepValues last;
    const StepValues first = train_step(model, optimizer, batch, 0.01, {1, 0});
    REQUIRE(first.terms.size() == 5);
    CHECK(first.total ==
          test::close_to(std::accumulate(first.terms.begin(), first.terms.end(), 0.0), 1e-6));
    for (int64_t step = 1; step < 200; ++step)
      last = train_step(model, optimizer, batch, 0.02, {1, step});
    MESSAGE("loss ", first.total, " -> ", last.total, ", mask ", first.terms[4], " -> ",
            last.terms[4]);
    CHECK(last.total < first.total / 4);
    CHECK(last.terms[4] < first.terms[4] / 3);
    const auto found = model.segment(batch.detector.images, batch.detector.frames);
    for (size_t n = 0; n < 2; ++n) {
      const auto labels = batch.detector.truth[n].labels.to_vector<int64_t>();
      const auto given = found[n].detections.labels.to_vector<int64_t>();
      for (size_t g = 0; g < labels.size(); ++g) {
        double best = 0;
        for (size_t d = 0; d < given.size(); ++d)
          if (given[d] == labels[g])
            best = std::max(best, mask_overlap(found[n], int64_t(d), batch.masks[n], int64_t(g)));
        INFO("loss ", int(loss), " image ", n, " object ", g);
        CHECK(best > 0.8);  // a filled box has pi / 4
      }
    }
  }
}

TEST_CASE("mask rcnn: a mask loss that is not finite changes nothing and says so") {
  const OneThread one_thread;
  MaskRcnn model(tiny_mask_spec(), 11);
  Sgd optimizer(parameter_groups(model), 0.9);
  const std::string spoilt = "roi_heads.mask_predictor.mask_fcn_logits.bias";
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (name == spoilt) variable.mutable_value().fill(NAN);
  });
  std::map<std::string, Tensor> before = named_tensors(model);
  for (auto& [name, tensor] : before) tensor = tensor.clone();
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, tiny_mask_batch(), 0.01, {1, 42}),
                       doctest::Contains("training step 42: the loss is not finite"), Error);
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, tiny_mask_batch(), 0.01, {1, 42}),
                       doctest::Contains("nan mask)"), Error);
  for (const auto& [name, tensor] : named_tensors(model))
    if (name != spoilt) CHECK(tensor.to_vector<float>() == before.at(name).to_vector<float>());
}
