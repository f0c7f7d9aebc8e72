// The attribution method on a detector of one stage.
#include "attribution/explained_retinanet.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "attribution/bbam.h"
#include "attribution/explain.h"
#include "attribution/explained_faster_rcnn.h"
#include "attribution/perturb.h"
#include "detectors/roi_heads.h"
#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/detectors/tiny_retinanet.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 64, kWidth = 96;
constexpr BoxArray kBox{8, 10, 40, 34};

// All parameters in double; classes that differ from cell to cell.
void make_double_and_lively(Module& module, Device device) {
  module.visit("", [&](const std::string& name, Variable& variable) {
    const bool is_last = name.ends_with("cls_logits.weight") || name.ends_with("bbox_reg.weight");
    const Tensor value = variable.value().cast(DType::kF64);
    variable = Variable(scale(Variable(value), is_last ? 300 : 1).value().to(device),
                        variable.needs_grad());
  });
}

struct Scene {
  RetinaNet model;
  Device device;
  Tensor image;

  explicit Scene(Device where, P6From from = P6From::kC5) : model(spec(from), 6), device(where) {
    make_double_and_lively(model, device);
    image = random_tensor({1, kHeight, kWidth, 3}, 3, -2, 2).to(device);
  }
  static RetinaNetSpec spec(P6From from) {
    RetinaNetSpec spec = tiny_retinanet_spec();
    spec.resnet.stem_width = 4;
    spec.fpn.channels = 6;
    spec.p6_from = from;
    return spec;
  }
  // Anchors of two images on P3, P4 and P6.
  Tensor rois() const {
    const auto anchors = model.anchors(model.feature_shapes(1, kHeight, kWidth));
    std::vector<float> rows;
    const auto add = [&](float image, size_t level, int64_t row) {
      const auto box = anchors[level].rows(row, row + 1).to_vector<float>();
      rows.push_back(image);
      rows.insert(rows.end(), box.begin(), box.end());
    };
    add(0, 0, 100);
    add(1, 1, 50);
    add(0, 3, 3);
    add(0, 0, 113);
    return Tensor::from(rows, {4, 5}).to(device);
  }
};

// The objective's gradient by every cell of two masks.
void check_mask_gradients(Scene s, const ObjectiveSpec& spec) {
  ExplainedRetinaNet detector(s.model);
  const Tensor rois = s.rois();
  const Targets targets{Tensor::from<int64_t>({1, 2, 1, 2}, {4}, s.device),
                        Tensor::from<int64_t>({0, 1, 0, 0}, {4}, s.device),
                        Tensor::from<double>({0.3, 1, 0.3, 0.3}, {4}, s.device),
                        Tensor::from<double>({0.9, 0.8, 0.01, 0.99}, {4}, s.device),
                        random_tensor({4, 4}, 9, 5, 9).to(s.device)};
  const std::vector<Tensor> values{random_tensor({4, 5}, 6, 0.1, 0.9),
                                   random_tensor({3, 4}, 7, 0.1, 0.9)};
  std::vector<Variable> masks;
  const auto value = [&](const std::vector<Tensor>& at) {
    masks.clear();
    for (const Tensor& mask : at) masks.emplace_back(mask.to(s.device).clone(), true);
    const Variable up = upsample_masks(masks, kHeight, kWidth, Corners::kHalfPixel);
    return objective(masks, detector.predict(perturb(s.image, up), rois), targets, spec);
  };
  backward(value(values));
  const std::vector<Variable> leaves = masks;
  for (size_t k = 0; k < values.size(); ++k) {
    const auto gradient = leaves[k].grad().to_vector<double>();
    double largest = 0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    CHECK(largest > 1e-5);
    for (size_t cell = 0; cell < gradient.size(); ++cell) {
      const auto moved = [&](double step) {
        std::vector<Tensor> there = values;
        auto cells = values[k].to_vector<double>();
        cells[cell] += step;
        there[k] = Tensor::from(cells, values[k].shape());
        return value(there).value().scalar();
      };
      const double h = 1e-6, numeric = (moved(h) - moved(-h)) / (2 * h);
      INFO("mask ", k, " cell ", cell, ": ", gradient[cell], ", numeric ", numeric);
      CHECK(std::abs(numeric - gradient[cell]) <= 1e-5 * largest);
    }
  }
}

// A tiny RetinaNet that knows the two pictures of tiny_batch().
RetinaNet& trained() {
  static RetinaNet model = [] {
    RetinaNet fresh(tiny_retinanet_spec(), 8);
    train(fresh, tiny_batch(), 120);
    return fresh;
  }();
  return model;
}

BbamOptions quick() {
  BbamOptions o;
  o.iterations = 40;
  o.learning_rate = 0.05;
  o.positives.iou_thresholds = {0.6};
  o.fixed_stride_px = 8;
  o.scale_stride = false;
  return o;
}

// Of the objects of tiny_batch()'s first picture.
const std::vector<BbamObject> kObjects{{.box = kBox, .label = 1},
                                       {.box = {56, 30, 88, 60}, .label = 2}};

}  // namespace

TEST_CASE("explained detector: METHOD A1, sigmoids of single classes and offsets of them all") {
  const Tensor logits = Tensor::from<double>({2, -1, 0, 0.5}, {2, 2});
  const Tensor deltas = Tensor::from<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
  const BoxPredictions predictions{logits, deltas, ClassOutputs::kSigmoid};
  const auto p = class_probabilities(predictions).value();
  REQUIRE(p.shape() == Shape{2, 3});
  const auto sigmoid_of = [](double x) { return 1 / (1 + std::exp(-x)); };
  const std::vector<double> expected{0, sigmoid_of(2), sigmoid_of(-1), 0, 0.5, sigmoid_of(0.5)};
  for (size_t i = 0; i < 6; ++i) CHECK(p.to_vector<double>()[i] == close_to(expected[i], 1e-12));
  const Tensor labels = Tensor::from<int64_t>({2, 1});
  CHECK(probabilities_of(predictions, labels).value().to_vector<double>() ==
        std::vector<double>{p.to_vector<double>()[2], 0.5});
  CHECK(offsets_of(predictions, labels).value().to_vector<double>() == deltas.to_vector<double>());
  CHECK_THROWS_AS(probabilities_of(predictions, Tensor::from<int64_t>({3, 1})), Error);
}

TEST_CASE("explained retinanet: METHOD A1, it answers as the detector does, frozen") {
  const OneThread one_thread;
  for (const Device device : available_devices()) {
    Scene s(device);
    const Tensor both = random_tensor({2, kHeight, kWidth, 3}, 5, -2, 2).to(device);
    const AnchorAnswers expected = s.model.answers(s.model.features(both), s.rois());
    const auto logits = expected.class_logits.value().to_vector<double>();
    const auto deltas = expected.deltas.value().to_vector<double>();
    ExplainedRetinaNet detector(s.model);
    const BoxPredictions found = detector.predict(both, s.rois());
    CHECK(found.outputs == ClassOutputs::kSigmoid);
    CHECK_FALSE(found.class_logits.needs_grad());
    const auto l = found.class_logits.value().to_vector<double>();
    const auto d = found.deltas.value().to_vector<double>();
    for (size_t i = 0; i < l.size(); ++i) CHECK(std::abs(l[i] - logits[i]) <= 1e-12);
    for (size_t i = 0; i < d.size(); ++i) CHECK(std::abs(d[i] - deltas[i]) <= 1e-12);
    s.model.visit("", [](const std::string& name, Variable& variable) {
      INFO(name);
      CHECK_FALSE(variable.needs_grad());
    });
  }
}

TEST_CASE("explained retinanet: METHOD A3, the masks' gradients against differences in double") {
  const OneThread one_thread;
  for (const Device device : available_devices())
    for (const P6From from : {P6From::kC5, P6From::kP5})
      for (int heads = 1; heads <= 3; ++heads) {
        CAPTURE(to_string(device));
        CAPTURE(heads);
        check_mask_gradients(
            Scene(device, from),
            {.use_box_head = (heads & 1) != 0, .use_class_head = (heads & 2) != 0, .lambda = 0});
      }
}

TEST_CASE("explained retinanet: METHOD A5, candidates are the anchors around the object") {
  const OneThread one_thread;
  RetinaNet model(tiny_retinanet_spec(), 2);
  const ExplainedRetinaNet detector(model);
  const auto iou_with = [](const BoxArray& box, const std::vector<float>& boxes, size_t i) {
    return iou(as_box(box), as_box({boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]}));
  };
  const auto found = detector.candidates(kBox, kHeight, kWidth, {}, 7).to_vector<float>();
  size_t expected = 0;
  for (const Tensor& level : model.anchors(model.feature_shapes(1, kHeight, kWidth))) {
    const auto boxes = level.to_vector<float>();
    for (size_t i = 0; i < boxes.size(); i += 4) expected += iou_with(kBox, boxes, i) >= 0.4;
  }
  CHECK(expected >= 8);
  CHECK(found.size() == 4 * expected);
  for (size_t i = 4; i < found.size(); i += 4) {
    CHECK(iou_with(kBox, found, i) >= 0.4 - 1e-6);
    CHECK(iou_with(kBox, found, i) <= iou_with(kBox, found, i - 4) + 1e-6);
  }
  const Tensor few = detector.candidates(kBox, kHeight, kWidth, {.proposals = 5}, 8);
  CHECK(few.to_vector<float>() == std::vector<float>(found.begin(), found.begin() + 20));
  // So thin that training would find no anchor for it, but the best.
  CHECK(detector.candidates({40, 2, 42, 60}, kHeight, kWidth, {}, 7).dim(0) == 1);
}

TEST_CASE("explained retinanet: METHOD A5, anchors of the most likely class whose box overlaps") {
  const OneThread one_thread;
  RetinaNet model(tiny_retinanet_spec(), 2);
  const ExplainedRetinaNet detector(model);
  const Tensor anchors = detector.candidates(kBox, kHeight, kWidth, {.proposals = 4}, 0);
  const Tensor offsets = encode_boxes(
      Tensor::from<float>({8, 10, 40, 34, 8, 10, 40, 34, 8, 10, 24, 34, 8, 10, 40, 36}, {4, 4}),
      anchors, model.spec().loss.coder);
  const BoxPredictions predictions{Tensor::from<float>({-3, -4, 1, 2, 3, 0, 2, 1}, {4, 2}), offsets,
                                   ClassOutputs::kSigmoid};
  const Positives positives =
      select_positives(detector, predictions, anchors, kBox, 1, kHeight, kWidth, {});
  REQUIRE(positives.proposals.dim(0) == 2);  // not the second (class) nor the third (box)
  const auto all = anchors.to_vector<float>(), kept = positives.proposals.to_vector<float>();
  CHECK(std::equal(kept.begin(), kept.begin() + 4, all.begin()));
  CHECK(std::equal(kept.begin() + 4, kept.end(), all.begin() + 12));
  const auto p = positives.probabilities.to_vector<float>();
  CHECK(p[0] == close_to(1 / (1 + std::exp(3.0)), 1e-5));
  CHECK(p[1] == close_to(1 / (1 + std::exp(-2.0)), 1e-5));
  const auto t = positives.offsets.to_vector<float>(), of_all = offsets.to_vector<float>();
  CHECK(std::equal(t.begin(), t.begin() + 4, of_all.begin()));
  CHECK(positives.mean_iou == close_to((1 + 24.0 / 26) / 2, 1e-5));
  CHECK_THROWS_WITH_AS(
      select_positives(detector, predictions, anchors, kBox, 3, kHeight, kWidth, {}),
      "class 3; the detector knows 1 to 2", Error);
}

TEST_CASE("explained retinanet: objects whose anchors lie on one level share their work") {
  const OneThread one_thread;
  RetinaNet model(tiny_retinanet_spec(), 2);  // sizes 14, 24, 36, 48, 64, each times 1 and 1.25
  const ExplainedRetinaNet detector(model);
  CHECK(detector.cost_group({30, 20, 44, 34}) == 0);
  CHECK(detector.cost_group({0, 0, 26, 25}) == 1);
  CHECK(detector.cost_group({50, 9, 88, 45}) == 2);
  CHECK(detector.cost_group({0, 0, 96, 64}) == 4);
}

TEST_CASE("bbam: METHOD A3, the mask of a RetinaNet's object keeps its answer and shrinks") {
  const OneThread one_thread;
  for (const Device device : available_devices()) {
    move_to(trained(), device);
    ExplainedRetinaNet detector(trained());
    const Tensor image = tiny_batch().images.rows(0, 1).to(device);
    const auto results = solve_bbam(detector, image, kObjects, quick());
    for (size_t k = 0; k < 2; ++k) {
      CAPTURE(k);
      const BbamResult& r = results[k];
      REQUIRE(r.positives > 0);
      CHECK(r.mean_positive_iou > 0.6);
      REQUIRE(r.curve.size() == 40);
      MESSAGE("object ", k, ": ", r.positives, " positives, objective ", r.curve.front().total,
              " -> ", r.curve.back().total);
      CHECK(r.curve.back().total < 0.7 * r.curve.front().total);
      double inside = 0, outside = 0, cells_inside = 0, cells_outside = 0;
      const auto mask = r.mask.to_vector<float>();
      for (int64_t y = 0; y < r.grid.height; ++y)
        for (int64_t x = 0; x < r.grid.width; ++x) {
          const BoxArray& b = kObjects[k].box;
          const double px = 8.0 * double(x) + 4, py = 8.0 * double(y) + 4;
          const bool is_inside = px > b[0] && px < b[2] && py > b[1] && py < b[3];
          (is_inside ? inside : outside) += mask[size_t(y * r.grid.width + x)];
          (is_inside ? cells_inside : cells_outside) += 1;
        }
      CHECK(inside / cells_inside > 2 * outside / cells_outside);
    }
  }
  move_to(trained(), kCpu);
}

TEST_CASE("bbam: a RetinaNet's objects solved together and one by one give the same masks") {
  const OneThread one_thread;
  ExplainedRetinaNet detector(trained());
  const Tensor image = tiny_batch().images.rows(0, 1);
  const auto masks_of = [&](int batch, int iterations) {
    BbamOptions o = quick();
    o.iterations = iterations;
    o.batch = batch;
    std::vector<std::vector<float>> masks;
    for (const BbamResult& r : solve_bbam(detector, image, kObjects, o))
      masks.push_back(r.mask.to_vector<float>());
    return masks;
  };
  const auto together = masks_of(4, 10), alone = masks_of(1, 10);
  for (size_t k = 0; k < 2; ++k)
    for (size_t i = 0; i < together[k].size(); ++i)
      CHECK(std::abs(together[k][i] - alone[k][i]) <= 1e-3);
  const auto by_one_thread = masks_of(4, 2);
  set_threads(2);
  CHECK(masks_of(4, 2) == by_one_thread);
}

TEST_CASE("explain: a detector of either architecture gets the view that is its own") {
  const OneThread one_thread;
  const Tensor image = random_tensor({1, kHeight, kWidth, 3}, 3, -2, 2).cast(DType::kF32);
  RetinaNet retinanet(tiny_retinanet_spec(), 6), again(tiny_retinanet_spec(), 6);
  const auto view = explain(retinanet);
  ExplainedRetinaNet own(again);
  const Tensor anchors = view->candidates(kBox, kHeight, kWidth, {.proposals = 5}, 1);
  CHECK(anchors.to_vector<float>() ==
        own.candidates(kBox, kHeight, kWidth, {.proposals = 5}, 1).to_vector<float>());
  const Tensor rois = rois_of({anchors});
  CHECK(view->predict(image, rois).class_logits.value().to_vector<float>() ==
        own.predict(image, rois).class_logits.value().to_vector<float>());
  retinanet.visit("", [](const std::string&, Variable& v) { CHECK(!v.needs_grad()); });

  FasterRcnn faster_rcnn(tiny_spec(), 6), same(tiny_spec(), 6);
  const auto of_two_stages = explain(faster_rcnn);
  ExplainedFasterRcnn its_own(same);
  CHECK(of_two_stages->predict(image, rois).deltas.value().to_vector<float>() ==
        its_own.predict(image, rois).deltas.value().to_vector<float>());

  struct Other : Detector {
    StepLosses losses_on(const DetectorBatch&, StepSeed) override { return {}; }
    std::vector<std::string> loss_names() const override { return {}; }
    std::vector<Detections> detect(const Tensor&, const std::vector<FrameSize>&) override {
      return {};
    }
    void set_training(bool) override {}
    void visit(const std::string&, const ParameterVisitor&) override {}
  } other;
  CHECK_THROWS_WITH_AS(explain(other), doctest::Contains("Faster R-CNN or a RetinaNet"), Error);
}
