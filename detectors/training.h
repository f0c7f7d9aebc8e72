// One step of training, of a Faster R-CNN and of any other network. The loop around it (loader,
// schedule, checkpoints) belongs to the program.
#pragma once
#include <functional>
#include <string>
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

// What a forward pass is to be judged by: `total` is differentiated, `terms` are what it is made
// of.
struct StepLosses {
  std::vector<std::pair<std::string, Variable>> terms;  // "objectness", ...
  Variable total;
};

struct StepValues {
  std::vector<double> terms;  // in the order of StepLosses
  double total = 0;
};

// Losses, their gradients and one step of the optimiser, whose parameters are the model's. Throws
// Error when a loss or a gradient is not finite, naming all terms; parameters, running statistics
// and the optimiser's state are then as before, the gradients are not. `step` is for that message.
StepValues train_step(Module& model, Optimizer& optimizer,
                      const std::function<StepLosses()>& losses, double learning_rate,
                      int64_t step);

struct DetectorBatch {
  Tensor images;  // (N, H, W, 3), mean-subtracted, on the model's device
  std::vector<FrameSize> frames;
  std::vector<GroundTruth> truth;
};

// objectness, rpn_box, classification, box
StepLosses step_losses(const DetectorLosses& losses);

// The same of a detector's losses. What it does depends on its arguments alone, so a run that is
// stopped and resumed repeats itself byte for byte.
StepValues train_step(FasterRcnn& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step);

}  // namespace bbam
