#include "detectors/retinanet.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/detectors/tiny_retinanet.h"

using namespace bbam;

namespace {

void to_double(Module& module) {
  module.visit("", [](const std::string&, Variable& variable) {
    variable = Variable(variable.value().cast(DType::kF64), variable.needs_grad());
  });
}

// One of each image on three levels, and a second one.
Tensor some_anchors(const RetinaNet& model, int64_t height, int64_t width) {
  const auto anchors = model.anchors(model.feature_shapes(1, height, width));
  std::vector<float> rois;
  const auto add = [&](float image, size_t level, int64_t row) {
    const auto box = anchors[level].rows(row, row + 1).to_vector<float>();
    rois.push_back(image);
    rois.insert(rois.end(), box.begin(), box.end());
  };
  add(0, 0, 100);
  add(1, 1, 50);
  add(0, 3, 3);
  add(0, 0, 113);
  return Tensor::from(rois, {4, 5});
}

// Section 4, "Inference", in plain loops.
std::vector<std::array<double, 6>> plain_detections(const RetinaNet& model,
                                                    const RetinaNetOutput& output,
                                                    const std::vector<Shape>& shapes, int64_t n,
                                                    FrameSize frame) {
  const RetinaNetSpec& spec = model.spec();
  const auto anchors = model.anchors(shapes);
  struct Candidate {
    double score;
    int64_t label;
    Box<double> box;
  };
  std::vector<Candidate> all;
  for (size_t level = 0; level < shapes.size(); ++level) {
    const auto logits =
        output.class_logits[level].value().rows(n, n + 1).cast(DType::kF64).to_vector<double>();
    const auto deltas =
        output.deltas[level].value().rows(n, n + 1).cast(DType::kF64).to_vector<double>();
    const auto corners = anchors[level].to_vector<float>();
    std::vector<Candidate> of_level;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double score = 1 / (1 + std::exp(-logits[i]));
      if (!(score > spec.detection.score_threshold)) continue;
      const size_t k = i / size_t(spec.classes);
      const double* t = &deltas[4 * k];
      const float* a = &corners[4 * k];
      const double w = a[2] - a[0], h = a[3] - a[1];
      const double x = (a[0] + a[2]) / 2 + t[0] / 10 * w, y = (a[1] + a[3]) / 2 + t[1] / 10 * h;
      const double w2 = w * std::exp(t[2] / 5) / 2, h2 = h * std::exp(t[3] / 5) / 2;
      const auto within = [](double v, double low, double high) {
        return std::min(std::max(v, low), high);
      };
      of_level.push_back(
          {score,
           int64_t(i) % spec.classes + 1,
           {within(x - w2, 0, double(frame.width) - 1), within(y - h2, 0, double(frame.height) - 1),
            within(x + w2, 1, double(frame.width)), within(y + h2, 1, double(frame.height))}});
    }
    std::stable_sort(of_level.begin(), of_level.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
    of_level.resize(std::min<size_t>(of_level.size(), size_t(spec.candidates)));
    all.insert(all.end(), of_level.begin(), of_level.end());
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  std::vector<Candidate> kept;
  for (const Candidate& c : all) {
    const bool is_covered = std::any_of(kept.begin(), kept.end(), [&](const Candidate& k) {
      return k.label == c.label && iou(k.box, c.box) > spec.detection.nms_iou;
    });
    if (!is_covered) kept.push_back(c);
  }
  std::vector<std::array<double, 6>> rows;
  for (const Candidate& c : kept)
    if (int64_t(rows.size()) < spec.detection.most)
      rows.push_back({c.box.x0, c.box.y0, c.box.x1, c.box.y1, c.score, double(c.label)});
  return rows;
}

}  // namespace

TEST_CASE("retinanet: METHOD B1, the defaults") {
  const RetinaNetSpec spec;
  CHECK(spec.resnet.depth == 101);
  CHECK(spec.freeze_stages == 2);
  CHECK(spec.fpn.top_down == TopDown::kBilinear);  // METHOD B2
  CHECK(spec.p6_from == P6From::kC5);
  CHECK(spec.anchors.sizes_px == std::vector<double>{32, 64, 128, 256, 512});
  CHECK(spec.anchors.strides_px == std::vector<int64_t>{8, 16, 32, 64, 128});
  CHECK(spec.anchors.per_cell() == 9);
  CHECK(spec.anchors.style == AnchorStyle::kLegacy);
  CHECK(spec.convolutions == 4);
  CHECK(spec.prior == 0.01);
  CHECK(spec.candidates == 1000);
  CHECK(spec.detection.score_threshold == 0.05);
  CHECK(spec.detection.most == 100);
  CHECK(spec.legacy_plus_one);
}

TEST_CASE("retinanet: stem and res2 are frozen, the rest is trained; torchvision's names") {
  const test::OneThread one_thread;
  RetinaNetSpec spec = test::tiny_retinanet_spec();
  spec.freeze_stages = 2;
  RetinaNet model(spec, 1);
  std::vector<std::string> names;
  model.visit("", [&](const std::string& name, Variable& variable) {
    const bool is_early = name.starts_with("backbone.body.conv1") ||
                          name.starts_with("backbone.body.bn1") ||
                          name.starts_with("backbone.body.layer1");
    INFO(name);
    CHECK(variable.needs_grad() == !is_early);
    names.push_back(name);
  });
  for (const char* name :
       {"backbone.fpn.inner_blocks.0.weight", "backbone.fpn.layer_blocks.2.bias",
        "backbone.fpn.extra_blocks.p6.weight", "backbone.fpn.extra_blocks.p7.bias",
        "head.classification_head.conv.1.0.bias", "head.regression_head.bbox_reg.weight"}) {
    INFO(name);
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
}

TEST_CASE("retinanet: P3 to P7 of any extent have the shapes that are foretold") {
  const test::OneThread one_thread;
  RetinaNet model(test::tiny_retinanet_spec(), 2);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 96}, {65, 97}, {33, 130}}) {
    const auto levels = model.features(Variable(Tensor::full({2, height, width, 3}, 0.5)));
    const auto foretold = model.feature_shapes(2, height, width);
    REQUIRE(levels.size() == 5);
    for (size_t level = 0; level < 5; ++level) CHECK(levels[level].shape() == foretold[level]);
  }
}

TEST_CASE("retinanet: single anchors answer as in the whole; only their levels are computed") {
  const test::OneThread one_thread;
  for (const P6From from : {P6From::kC5, P6From::kP5}) {
    RetinaNetSpec spec = test::tiny_retinanet_spec();
    spec.p6_from = from;
    RetinaNet model(spec, 2);
    const Tensor images = test::tiny_batch().images;
    const Tensor rois = some_anchors(model, 64, 96);
    const auto all = model.features(images);
    const auto some = model.features_for(images, rois);
    CHECK(some[0].defined());
    CHECK(some[1].defined());
    CHECK(some[2].defined() == (from == P6From::kP5));
    CHECK(some[3].defined());
    const AnchorAnswers given = model.answers(some, rois), expected = model.answers(all, rois);
    const auto compare = [](const Variable& a, const Variable& b) {
      const auto got = a.value().to_vector<float>(), want = b.value().to_vector<float>();
      REQUIRE(got.size() == want.size());
      for (size_t i = 0; i < got.size(); ++i)  // another extent may sum in another order
        CHECK(got[i] == test::close_to(want[i], 1e-5, 1));
    };
    compare(given.class_logits, expected.class_logits);
    compare(given.deltas, expected.deltas);
    // Against the head's maps themselves: roi 0 is anchor 100 of P3's first image.
    const auto map = model.head(all).deltas[0].value().to_vector<float>();
    for (size_t k = 0; k < 4; ++k)
      CHECK(expected.deltas.value().to_vector<float>()[k] ==
            test::close_to(map[400 + k], 1e-5, 1e-2));

    const Tensor coarse = rois.rows(2, 3);
    const auto top = model.features_for(images, coarse);
    CHECK_FALSE(top[0].defined());
    CHECK_FALSE(top[1].defined());
    CHECK(top[2].defined() == (from == P6From::kP5));
    CHECK_THROWS_AS(model.features_for(images, Tensor::from<float>({0, 1, 2, 30, 40}, {1, 5})),
                    Error);
    CHECK_THROWS_AS(model.answers(top, rois), Error);
  }
}

TEST_CASE("retinanet: detections against plain loops over candidates and NMS") {
  const test::OneThread one_thread;
  RetinaNetSpec spec = test::tiny_retinanet_spec();
  spec.prior = 0.3;
  spec.candidates = 40;
  spec.detection.most = 30;
  spec.detection.score_threshold = 0.3;
  RetinaNet model(spec, 3);
  model.visit("", [](const std::string& name, Variable& v) {  // answers that differ by cell
    if (name.find("cls_logits.weight") == std::string::npos &&
        name.find("bbox_reg.weight") == std::string::npos)
      return;
    v.mutable_value().copy_from(scale(v.detach(), 300).value());
  });
  const DetectorBatch batch = test::tiny_batch();
  const auto detections = model.detect(batch.images, batch.frames);
  REQUIRE(detections.size() == 2);
  const NoGrad frozen;
  const RetinaNetOutput output = model.head(model.features(batch.images));
  for (size_t n = 0; n < 2; ++n) {
    const auto expected = plain_detections(model, output, model.feature_shapes(2, 64, 96),
                                           int64_t(n), batch.frames[n]);
    CHECK(expected.size() == 30);
    const auto boxes = detections[n].boxes.to_vector<float>();
    const auto scores = detections[n].scores.to_vector<float>();
    const auto labels = detections[n].labels.to_vector<int64_t>();
    REQUIRE(scores.size() == expected.size());
    for (size_t i = 0; i < scores.size(); ++i) {
      CHECK(scores[i] == test::close_to(expected[i][4], 1e-5));
      CHECK(labels[i] == int64_t(expected[i][5]));
      for (size_t k = 0; k < 4; ++k)
        CHECK(boxes[4 * i + k] == test::close_to(expected[i][k], 1e-5, 1));
    }
  }
}

TEST_CASE("retinanet: a tiny one learns two pictures") {
  const test::OneThread one_thread;
  RetinaNet model(test::tiny_retinanet_spec(), 8);
  const DetectorBatch batch = test::tiny_batch();
  const auto [first, last] = test::train(model, batch, 120);
  MESSAGE("loss ", first, " -> ", last);
  CHECK(last < first / 4);
  const auto detections = model.detect(batch.images, batch.frames);
  for (size_t n = 0; n < 2; ++n) {
    const auto overlap = iou_matrix(batch.truth[n].boxes, detections[n].boxes).to_vector<float>();
    const auto found = detections[n].labels.to_vector<int64_t>();
    const auto wanted = batch.truth[n].labels.to_vector<int64_t>();
    REQUIRE(found.size() >= wanted.size());
    for (size_t g = 0; g < wanted.size(); ++g) {  // the best detections are the objects
      float best = 0;
      for (size_t d = 0; d < wanted.size(); ++d)
        if (found[d] == wanted[g]) best = std::max(best, overlap[g * found.size() + d]);
      INFO("image ", n, " object ", g);
      CHECK(best > 0.6f);
    }
  }
}

TEST_CASE("retinanet: wrong input and contradictory specifications are refused") {
  const test::OneThread one_thread;
  RetinaNet model(test::tiny_retinanet_spec(), 3);
  DetectorBatch batch = test::tiny_batch();
  CHECK_THROWS_AS(model.detect(batch.images, {batch.frames[0]}), Error);
  CHECK_THROWS_AS(model.detect(batch.images, {{.height = 64, .width = 97}, batch.frames[1]}),
                  Error);
  batch.truth[1].labels = Tensor::from<int64_t>({3});
  CHECK_THROWS_WITH_AS(model.training_losses(batch.images, batch.frames, batch.truth, {}),
                       doctest::Contains("label 3; expected 1 to 2"), Error);
  RetinaNetSpec spec = test::tiny_retinanet_spec();
  spec.anchors.sizes_px = {32, 64};
  spec.anchors.strides_px = {8, 16};
  CHECK_THROWS_WITH_AS(RetinaNet(spec, 1), doctest::Contains("expected 5 (P3 to P7)"), Error);
  spec = test::tiny_retinanet_spec();
  spec.classes = 0;
  CHECK_THROWS_AS(RetinaNet(spec, 1), Error);
  spec = test::tiny_retinanet_spec();
  spec.prior = 0;
  CHECK_THROWS_AS(RetinaNet(spec, 1), Error);
}

TEST_CASE("retinanet: losses and gradients are the same bytes for any number of threads") {
  const DetectorBatch batch = test::tiny_batch();
  const auto run = [&](int count) {
    const int before = threads();
    set_threads(count);
    RetinaNet model(test::tiny_retinanet_spec(), 4);
    const RetinaNetLosses losses =
        model.training_losses(batch.images, batch.frames, batch.truth, {});
    backward(losses.total());
    set_threads(before);
    std::map<std::string, std::vector<float>> gradients;
    model.visit("", [&](const std::string& name, Variable& v) {
      if (v.grad().defined()) gradients[name] = v.grad().to_vector<float>();
    });
    return std::pair(losses.total().value().scalar(), gradients);
  };
  const auto first = run(1);
  CHECK(first.second.size() > 50);
  CHECK(first == run(2));
}

TEST_CASE("retinanet: every device computes the same losses and detections") {
  const test::OneThread one_thread;
  const DetectorBatch batch = test::tiny_batch();
  RetinaNetSpec spec = test::tiny_retinanet_spec();
  spec.prior = 0.3;
  const auto run = [&](Device device) {
    RetinaNet model(spec, 4);
    move_to(model, device);
    const Tensor images = batch.images.to(device);
    const RetinaNetLosses losses = model.training_losses(images, batch.frames, batch.truth, {});
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

TEST_CASE("retinanet: the whole loss's gradient against differences in double") {
  const test::OneThread one_thread;
  RetinaNetSpec spec = test::tiny_retinanet_spec();
  spec.resnet.stem_width = 4;
  spec.fpn.channels = 6;
  RetinaNet model(spec, 6);
  to_double(model);
  const DetectorBatch batch = test::tiny_batch();
  const Tensor images = batch.images.cast(DType::kF64);
  const auto loss = [&] {
    return model.training_losses(images, batch.frames, batch.truth, {}).total();
  };
  backward(loss());

  const std::vector<std::string> names{"backbone.body.conv1.weight",
                                       "backbone.body.layer4.0.conv1.weight",
                                       "backbone.fpn.inner_blocks.1.weight",
                                       "backbone.fpn.extra_blocks.p6.weight",
                                       "backbone.fpn.extra_blocks.p7.bias",
                                       "head.classification_head.conv.0.0.weight",
                                       "head.classification_head.cls_logits.bias",
                                       "head.regression_head.conv.1.0.bias",
                                       "head.regression_head.bbox_reg.weight"};
  int checked = 0;
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (std::find(names.begin(), names.end(), name) == names.end()) return;
    const NoGrad frozen;
    REQUIRE(variable.grad().defined());
    const auto gradient = variable.grad().to_vector<double>();
    double largest = 0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    CHECK(largest > 0);
    for (size_t k = 0; k < gradient.size(); k += gradient.size() / 3 + 1) {
      double* value = variable.mutable_value().mutable_data<double>() + k;
      const double before = *value, step = 1e-6;
      const auto at = [&](double there) {
        variable.mutable_value().mutable_data<double>()[k] = there;
        return loss().value().scalar();
      };
      const double numeric = (at(before + step) - at(before - step)) / (2 * step);
      at(before);
      INFO(name, " element ", k);
      CHECK(std::abs(numeric - gradient[k]) < 1e-5 * largest + 1e-8);
      ++checked;
    }
  });
  CHECK(checked >= 20);
}
