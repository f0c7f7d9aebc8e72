#include "detectors/training.h"

namespace bbam {
namespace {

bool is_bias(const std::string& name) {
  const std::string end = "bias";
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
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

StepValues train_step(Detector& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step) {
  const auto losses = [&](int64_t) { return model.losses_on(batch, step); };
  return train_step(model, optimizer, losses, learning_rate, step.step);
}

}  // namespace bbam
