// One step of training a detector. The loop around it (loader, schedule, checkpoints) belongs to
// the program.
#pragma once
#include <vector>

#include "detectors/detector.h"

namespace bbam {

struct DecaySpec {
  double weight_decay = 1e-4;  // METHOD B1
  double bias_decay = 0;       // METHOD B1
  double bias_lr_scale = 2;    // METHOD B1
};

// The parameters that are not frozen: weights, then those whose names end in "bias". A group may be
// empty.
std::vector<ParameterGroup> parameter_groups(Module& module, const DecaySpec& spec = {});

// layers/train_step.h, of the detector's losses. What it does depends on its arguments alone, so a
// run that is stopped and resumed repeats itself byte for byte.
StepValues train_step(Detector& model, Optimizer& optimizer, const DetectorBatch& batch,
                      double learning_rate, StepSeed step);

}  // namespace bbam
