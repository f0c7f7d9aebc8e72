// One step of training a Faster R-CNN. The loop around it (loader, schedule, checkpoints) belongs
// to the program.
#pragma once
#include <vector>

#include "autograd/optimizer.h"
#include "detectors/faster_rcnn.h"

namespace bbam {

struct DecaySpec {
  double weight_decay = 1e-4;  // METHOD B1
  double bias_decay = 0;       // METHOD B1
  double bias_lr_scale = 2;    // METHOD B1
};

// The parameters that are not frozen: weights, then those whose names end in "bias". A group may be
// empty.
std::vector<ParameterGroup> parameter_groups(Module& module, const DecaySpec& spec = {});

struct DetectorBatch {
  Tensor images;  // (N, H, W, 3), mean-subtracted, on the model's device
  std::vector<FrameSize> frames;
  std::vector<GroundTruth> truth;
};

struct LossValues {
  double objectness = 0, rpn_box = 0, classification = 0, box = 0, total = 0;
};

// Losses, their gradients and one step of the optimiser, whose parameters are the model's. What it
// does depends on its arguments alone, so a run that is stopped and resumed repeats itself byte for
// byte. Throws Error when a loss or a gradient is not finite; parameters, running statistics and
// the optimiser's state are then as before, the gradients are not.
LossValues train_step(FasterRcnn& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step);

}  // namespace bbam
