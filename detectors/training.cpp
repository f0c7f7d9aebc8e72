#include "detectors/training.h"

#include <cmath>

namespace bbam {
namespace {

bool is_bias(const std::string& name) {
  const std::string end = "bias";
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// "0.2 objectness, 0.1 rpn_box"
std::string text_of(const StepLosses& losses, const std::vector<double>& values) {
  std::string text;
  for (size_t k = 0; k < values.size(); ++k)
    text += join(k == 0 ? "" : ", ", values[k], " ", losses.terms[k].first);
  return text;
}

// The running statistics of batch norms, which a forward pass in training overwrites.
class RunningStatistics {
 public:
  explicit RunningStatistics(Module& model) {
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
StepValues loss_and_gradients(Optimizer& optimizer, const std::function<StepLosses()>& losses_of,
                              int64_t step) {
  const StepLosses losses = losses_of();
  StepValues values{{}, losses.total.value().scalar()};
  for (const auto& [name, loss] : losses.terms) values.terms.push_back(loss.value().scalar());
  check(std::isfinite(values.total), "training step ", step, ": the loss is not finite (",
        text_of(losses, values.terms), "); lower the learning rate");
  optimizer.clear_gradients();
  backward(losses.total);
  const std::string wrong = optimizer.nonfinite_gradient();
  check(wrong.empty(), "training step ", step, ": the gradient of ", wrong,
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

StepValues train_step(Module& model, Optimizer& optimizer,
                      const std::function<StepLosses()>& losses, double learning_rate,
                      int64_t step) {
  RunningStatistics before(model);
  StepValues values;
  try {
    values = loss_and_gradients(optimizer, losses, step);
  } catch (...) {
    before.restore();
    throw;
  }
  optimizer.step(learning_rate);
  return values;
}

StepLosses step_losses(const DetectorLosses& losses) {
  return {{{"objectness", losses.objectness},
           {"rpn_box", losses.rpn_box},
           {"classification", losses.classification},
           {"box", losses.box}},
          losses.total()};
}

StepValues train_step(FasterRcnn& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step) {
  const auto losses = [&] {
    return step_losses(model.training_losses(batch.images, batch.frames, batch.truth, step));
  };
  return train_step(model, optimizer, losses, learning_rate, step.step);
}

}  // namespace bbam
