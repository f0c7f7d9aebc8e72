// One step of training DeepLab-v2 (METHOD B5). The loop around it (loader, schedule, checkpoints)
// belongs to the program.
#pragma once
#include <vector>

#include "autograd/schedule.h"
#include "layers/train_step.h"
#include "segmenters/deeplab.h"

namespace bbam {

struct DeepLabGroupSpec {
  double weight_decay = 5e-4;  // of all but the ASPP's biases, which have none
  double aspp_weight_lr_scale = 10, aspp_bias_lr_scale = 20;
};

// What is trained of the backbone, the ASPP's weights, the ASPP's biases. For Sgd, whose momentum
// of 0.9 is METHOD B5's too.
std::vector<ParameterGroup> deeplab_parameter_groups(DeepLab& model,
                                                     const DeepLabGroupSpec& spec = {});

// 2.5e-4, falling with power 0.9 to 0 at total_steps, renewed every 10 steps.
Schedule deeplab_schedule(int64_t total_steps = 20000);

inline constexpr int kDeepLabAccumulation = 2;  // batches of 5 in each step

struct DeepLabBatch {
  Tensor images;  // (N, H, W, 3), mean-subtracted, on the model's device
  Tensor labels;  // (N, H, W) u8
};

// scale_1, scale_0.5, ..., maximum
StepLosses step_losses(const DeepLabLosses& losses, const DeepLabSpec& spec);

// The step of layers/train_step.h for the mean of the losses of these batches: a batch weighs the
// same however many of its pixels are ignored.
StepValues train_step(DeepLab& model, Optimizer& optimizer,
                      const std::vector<DeepLabBatch>& batches, double learning_rate, int64_t step);

}  // namespace bbam
