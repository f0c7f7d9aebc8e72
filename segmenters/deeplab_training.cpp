#include "segmenters/deeplab_training.h"

#include <cmath>

#include "layers/elementwise.h"

namespace bbam {
namespace {

// Adds the losses of one batch, times `share`, to the values, and their gradients to those of the
// parameters.
void accumulate(DeepLab& model, const DeepLabBatch& batch, double share, int64_t step,
                DeepLabLossValues& values) {
  const DeepLabLosses losses = model.losses(batch.images, batch.labels);
  const Variable total = losses.total();
  check(std::isfinite(total.value().scalar()), "training step ", step, ": the loss is not finite (",
        losses.of_scale[0].value().scalar(), " at scale 1, ", losses.maximum.value().scalar(),
        " of the maximum); lower the learning rate");
  values.of_scale.resize(losses.of_scale.size());
  for (size_t k = 0; k < losses.of_scale.size(); ++k)
    values.of_scale[k] += share * losses.of_scale[k].value().scalar();
  values.maximum += share * losses.maximum.value().scalar();
  values.total += share * total.value().scalar();
  backward(scale(total, share));
}

}  // namespace

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

DeepLabLossValues train_step(DeepLab& model, Optimizer& optimizer,
                             const std::vector<DeepLabBatch>& batches, double learning_rate,
                             int64_t step) {
  check(!batches.empty(), "training step ", step, ": no batches; expected at least one");
  optimizer.clear_gradients();
  DeepLabLossValues values;
  for (const DeepLabBatch& batch : batches)
    accumulate(model, batch, 1.0 / double(batches.size()), step, values);
  const std::string wrong = optimizer.nonfinite_gradient();
  check(wrong.empty(), "training step ", step, ": the gradient of ", wrong,
        " is not finite; lower the learning rate");
  optimizer.step(learning_rate);
  return values;
}

}  // namespace bbam
