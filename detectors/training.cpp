#include "detectors/training.h"

#include <cmath>

namespace bbam {
namespace {

bool is_bias(const std::string& name) {
  const std::string end = "bias";
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

LossValues values_of(const DetectorLosses& losses, const Variable& total) {
  return {losses.objectness.value().scalar(), losses.rpn_box.value().scalar(),
          losses.classification.value().scalar(), losses.box.value().scalar(),
          total.value().scalar()};
}

}  // namespace

std::vector<ParameterGroup> parameter_groups(Module& module, const DecaySpec& spec) {
  ParameterGroup weights{.weight_decay = spec.weight_decay};
  ParameterGroup biases{.lr_scale = spec.bias_lr_scale, .weight_decay = spec.bias_decay};
  module.visit("", [&](const std::string& name, Variable& variable) {
    if (!variable.needs_grad()) return;
    ParameterGroup& group = is_bias(name) ? biases : weights;
    group.names.push_back(name);
    group.parameters.push_back(variable);
  });
  return {weights, biases};
}

LossValues train_step(FasterRcnn& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step) {
  const DetectorLosses losses =
      model.training_losses(batch.images, batch.frames, batch.truth, step);
  const Variable total = losses.total();
  const LossValues values = values_of(losses, total);
  check(std::isfinite(values.total), "training step ", step.step, ": the loss is not finite (",
        values.objectness, " objectness, ", values.rpn_box, " RPN box, ", values.classification,
        " classification, ", values.box, " box); lower the learning rate");
  optimizer.clear_gradients();
  backward(total);
  optimizer.step(learning_rate);
  return values;
}

}  // namespace bbam
