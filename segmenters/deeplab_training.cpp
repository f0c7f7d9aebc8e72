#include "segmenters/deeplab_training.h"

namespace bbam {
std::vector<ParameterGroup> deeplab_parameter_groups(DeepLab& model, const DeepLabGroupSpec& spec) {
  ParameterGroup backbone{.weight_decay = spec.weight_decay};
  ParameterGroup weights{.lr_scale = spec.aspp_weight_lr_scale, .weight_decay = spec.weight_decay};
  ParameterGroup biases{.lr_scale = spec.aspp_bias_lr_scale};
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (!variable.needs_grad()) return;
    ParameterGroup& group = !name.starts_with("aspp.") ? backbone
                            : name.ends_with("weight") ? weights
                                                       : biases;
    group.names.push_back(name);
    group.parameters.push_back(variable);
  });
  return {backbone, weights, biases};
}

Schedule deeplab_schedule(int64_t total_steps) {
  return {.base_rate = 2.5e-4, .poly_power = 0.9, .total_steps = total_steps, .poly_period = 10};
}

StepLosses step_losses(const DeepLabLosses& losses, const DeepLabSpec& spec) {
  StepLosses named{{{"scale_1", losses.of_scale[0]}}, losses.total()};
  for (size_t k = 0; k < spec.scales.size(); ++k)
    named.terms.emplace_back(join("scale_", spec.scales[k]), losses.of_scale[k + 1]);
  named.terms.emplace_back("maximum", losses.maximum);
  return named;
}

StepValues train_step(DeepLab& model, Optimizer& optimizer,
                      const std::vector<DeepLabBatch>& batches, double learning_rate,
                      int64_t step) {
  const auto losses = [&](int64_t part) {
    const DeepLabBatch& batch = batches[size_t(part)];
    return step_losses(model.losses(batch.images, batch.labels), model.spec());
  };
  return train_step(model, optimizer, losses, learning_rate, step, int64_t(batches.size()));
}

}  // namespace bbam
