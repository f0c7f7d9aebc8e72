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

// The running statistics of batch norms, which a forward pass in training overwrites.
class RunningStatistics {
 public:
  explicit RunningStatistics(FasterRcnn& model) {
    if (model.spec().resnet.norm != Norm::kBatch) return;
    model.visit("", [&](const std::string& name, Variable& variable) {
      if (name.ends_with(".running_mean") || name.ends_with(".running_var"))
        saved_.emplace_back(variable, variable.value().clone());
    });
  }
  void restore() {
    for (auto& [variable, value] : saved_) variable.mutable_value().copy_from(value);
  }

 private:
  std::vector<std::pair<Variable, Tensor>> saved_;
};

// Losses and, in the parameters, their gradients; all of them finite.
LossValues loss_and_gradients(FasterRcnn& model, Optimizer& optimizer, const DetectorBatch& batch,
                              StepSeed step) {
  const DetectorLosses losses =
      model.training_losses(batch.images, batch.frames, batch.truth, step);
  const Variable total = losses.total();
  const LossValues values = values_of(losses, total);
  check(std::isfinite(values.total), "training step ", step.step, ": the loss is not finite (",
        values.objectness, " objectness, ", values.rpn_box, " RPN box, ", values.classification,
        " classification, ", values.box, " box); lower the learning rate");
  optimizer.clear_gradients();
  backward(total);
  const std::string wrong = optimizer.nonfinite_gradient();
  check(wrong.empty(), "training step ", step.step, ": the gradient of ", wrong,
        " is not finite; lower the learning rate");
  return values;
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
  RunningStatistics before(model);
  LossValues values;
  try {
    values = loss_and_gradients(model, optimizer, batch, step);
  } catch (...) {
    before.restore();
    throw;
  }
  optimizer.step(learning_rate);
  return values;
}

}  // namespace bbam
