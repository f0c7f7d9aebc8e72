// One step of training any network: losses, their gradients, the optimiser. The loop around it
// (loader, schedule, checkpoints) belongs to the program.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/optimizer.h"
#include "layers/module.h"

namespace bbam {

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

// The mean of `losses` over the parts 0 .. parts - 1 of the step's data, its gradients, summed part
// by part, and one step of the optimiser, whose parameters are the model's. What it does depends on
// its arguments alone, so a run that is stopped and resumed repeats itself byte for byte. Throws
// Error when a loss or a gradient is not finite, naming all terms; parameters, running statistics
// and the optimiser's state are then as before, the gradients are not. `step` is for that message.
StepValues train_step(Module& model, Optimizer& optimizer,
                      const std::function<StepLosses(int64_t part)>& losses, double learning_rate,
                      int64_t step, int64_t parts = 1);

}  // namespace bbam
