#include "detectors/training.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/detectors/tiny_retinanet.h"
#include "tests/module_copies.h"

using namespace bbam;
using test::copies;
using test::values_of;

TEST_CASE("training: METHOD B1, decay 1e-4 on weights, none and twice the rate on biases") {
  const test::OneThread one_thread;
  FasterRcnnSpec spec = test::tiny_spec();
  spec.freeze_stages = 2;
  FasterRcnn model(spec, 1);
  const auto groups = parameter_groups(model);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].weight_decay == 1e-4);
  CHECK(groups[0].lr_scale == 1);
  CHECK(groups[1].weight_decay == 0);
  CHECK(groups[1].lr_scale == 2);
  size_t trained = 0;
  model.visit("", [&](const std::string&, Variable& v) { trained += v.needs_grad(); });
  CHECK(groups[0].names.size() + groups[1].names.size() == trained);
  for (const auto& group : groups) {
    CHECK(group.names.size() == group.parameters.size());
    for (const std::string& name : group.names)
      CHECK((name.find("bias") != std::string::npos) == (&group == &groups[1]));
  }
}

TEST_CASE("training: a tiny detector learns two pictures") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 8);
  Sgd optimizer(parameter_groups(model), 0.9);
  const DetectorBatch batch = test::tiny_batch();
  const double first = train_step(model, optimizer, batch, 0.01, {1, 0}).total;
  StepValues last;
  for (int64_t step = 1; step < 80; ++step)
    last = train_step(model, optimizer, batch, 0.02, {1, step});
  MESSAGE("loss ", first, " -> ", last.total);
  CHECK(last.total < first / 4);
  // And finds them: the best detections are the objects.
  const auto detections = model.detect(batch.images, batch.frames);
  for (size_t n = 0; n < 2; ++n) {
    const Tensor overlap = iou_matrix(batch.truth[n].boxes, detections[n].boxes);
    const auto iou = overlap.to_vector<float>();
    const auto found = detections[n].labels.to_vector<int64_t>();
    const auto wanted = batch.truth[n].labels.to_vector<int64_t>();
    for (size_t g = 0; g < wanted.size(); ++g) {
      float best = 0;
      for (size_t d = 0; d < found.size(); ++d)
        if (found[d] == wanted[g]) best = std::max(best, iou[g * found.size() + d]);
      INFO("image ", n, " object ", g);
      CHECK(best > 0.5f);
    }
  }
}

TEST_CASE("training: a detector's losses are its own, named in their order") {
  const test::OneThread one_thread;
  const DetectorBatch batch = test::tiny_batch();
  const StepSeed step{4, 2};
  const auto check_losses = [&](Detector& model, const std::vector<Variable>& expected,
                                const Variable& total) {
    const StepLosses losses = model.losses_on(batch, step);
    REQUIRE(losses.terms.size() == expected.size());
    REQUIRE(model.loss_names().size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK(losses.terms[i].first == model.loss_names()[i]);
      CHECK(losses.terms[i].second.value().scalar() == expected[i].value().scalar());
    }
    CHECK(losses.total.value().scalar() == total.value().scalar());
  };
  FasterRcnn faster_rcnn(test::tiny_spec(), 8);
  const auto f = faster_rcnn.training_losses(batch.images, batch.frames, batch.truth, step);
  check_losses(faster_rcnn, {f.objectness, f.rpn_box, f.classification, f.box}, f.total());
  RetinaNet retinanet(test::tiny_retinanet_spec(), 8);
  const auto r = retinanet.training_losses(batch.images, batch.frames, batch.truth, step);
  check_losses(retinanet, {r.classification, r.box}, r.total());
}

TEST_CASE("training: a RetinaNet takes the same step, and again after a stop") {
  const test::OneThread one_thread;
  const DetectorBatch batch = test::tiny_batch();
  RetinaNet model(test::tiny_retinanet_spec(), 9);
  Sgd optimizer(parameter_groups(model), 0.9);
  const double first = train_step(model, optimizer, batch, 0.02, {1, 0}).total;
  const auto weights = copies(model), state = optimizer.state();
  StepValues last;
  for (int64_t step = 1; step < 80; ++step)
    last = train_step(model, optimizer, batch, 0.02, {1, step});
  MESSAGE("loss ", first, " -> ", last.total);
  CHECK(last.total < first / 2);
  RetinaNet resumed(test::tiny_retinanet_spec(), 10);
  load_tensors(resumed, weights, "step 1");
  Sgd resumed_optimizer(parameter_groups(resumed), 0.9);
  resumed_optimizer.load_state(state);
  for (int64_t step = 1; step < 80; ++step)
    train_step(resumed, resumed_optimizer, batch, 0.02, {1, step});
  CHECK(values_of(named_tensors(model)) == values_of(named_tensors(resumed)));
}

TEST_CASE("training: stopped and resumed equals uninterrupted, byte for byte") {
  const test::OneThread one_thread;
  const DetectorBatch batch = test::tiny_batch();
  FasterRcnn model(test::tiny_spec(), 9);
  Sgd optimizer(parameter_groups(model), 0.9);
  std::map<std::string, Tensor> weights, state;
  for (int64_t step = 0; step < 4; ++step) {
    if (step == 2) {
      weights = copies(model);
      state = optimizer.state();
    }
    train_step(model, optimizer, batch, 0.01, {3, step});
  }
  FasterRcnn resumed(test::tiny_spec(), 10);
  load_tensors(resumed, weights, "step 2");
  Sgd resumed_optimizer(parameter_groups(resumed), 0.9);
  resumed_optimizer.load_state(state);
  for (int64_t step = 2; step < 4; ++step)
    train_step(resumed, resumed_optimizer, batch, 0.01, {3, step});
  CHECK(values_of(named_tensors(model)) == values_of(named_tensors(resumed)));
  CHECK(values_of(optimizer.state()) == values_of(resumed_optimizer.state()));
}

TEST_CASE("training: a loss that is not finite changes nothing and says so") {
  const test::OneThread one_thread;
  FasterRcnn model(test::tiny_spec(), 11);
  Sgd optimizer(parameter_groups(model), 0.9);
  model.visit("", [](const std::string& name, Variable& variable) {
    if (name == "roi_heads.box_predictor.cls_score.bias") variable.mutable_value().fill(NAN);
  });
  const auto before = copies(model);
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, test::tiny_batch(), 0.01, {1, 42}),
                       doctest::Contains("training step 42: the loss is not finite"), Error);
  const auto after = named_tensors(model);
  for (const auto& [name, tensor] : before)
    if (name != "roi_heads.box_predictor.cls_score.bias")
      CHECK(tensor.to_vector<float>() == after.at(name).to_vector<float>());
}

namespace {

FasterRcnn batch_norm_model(uint64_t seed, int freeze_stages) {
  FasterRcnnSpec spec = test::tiny_spec();
  spec.resnet.norm = Norm::kBatch;
  spec.freeze_stages = freeze_stages;
  return {spec, seed};
}

// Puts a NaN into the named parameter, and expects the next step to refuse and to change nothing.
void check_refusal(FasterRcnn& model, const std::string& parameter) {
  Sgd optimizer(parameter_groups(model), 0.9);
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (name == parameter) variable.mutable_value().fill(NAN);
  });
  const auto before = copies(model), state = optimizer.state();
  CHECK_THROWS_WITH_AS(train_step(model, optimizer, test::tiny_batch(), 0.01, {1, 42}),
                       doctest::Contains("not finite"), Error);
  for (const auto& [name, tensor] : named_tensors(model)) {
    INFO(name);
    if (name != parameter) CHECK(tensor.to_vector<float>() == before.at(name).to_vector<float>());
  }
  CHECK(values_of(optimizer.state()) == values_of(state));
}

}  // namespace

TEST_CASE("training: a loss that is not finite leaves batch norm's running statistics alone") {
  const test::OneThread one_thread;
  FasterRcnn model = batch_norm_model(12, 0);
  model.set_training(true);
  check_refusal(model, "roi_heads.box_predictor.cls_score.bias");
}

// oneDNN's fused ReLU turns the NaN of this convolution into 0, so that the loss is finite.
TEST_CASE("training: a gradient that is not finite changes nothing") {
  const test::OneThread one_thread;
  FasterRcnn model = batch_norm_model(13, 0);
  model.set_training(true);
  check_refusal(model, "rpn.head.conv.weight");
}

TEST_CASE("training: batch norms of frozen stages keep their statistics, others follow the data") {
  const test::OneThread one_thread;
  FasterRcnn model = batch_norm_model(14, 2);
  model.set_training(true);
  Sgd optimizer(parameter_groups(model), 0.9);
  const auto before = copies(model);
  train_step(model, optimizer, test::tiny_batch(), 0.01, {1, 0});
  for (const auto& [name, tensor] : named_tensors(model)) {
    if (name.find("running") == std::string::npos) continue;
    const bool is_frozen =
        name.starts_with("backbone.body.bn1") || name.starts_with("backbone.body.layer1");
    INFO(name);
    CHECK((tensor.to_vector<float>() == before.at(name).to_vector<float>()) == is_frozen);
  }
}
