#include "layers/train_step.h"

#include <cmath>

#include "layers/elementwise.h"

namespace bbam {
namespace {

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

// Adds the losses, times `share`, to the values, and their gradients to those of the parameters.
void accumulate(const StepLosses& losses, double share, int64_t step, StepValues& sum) {
  const double total = losses.total.value().scalar();
  std::vector<double> terms;
  for (const auto& [name, loss] : losses.terms) terms.push_back(loss.value().scalar());
  check(std::isfinite(total), "training step ", step, ": the loss is not finite (",
        text_of(losses, terms), "); lower the learning rate");
  sum.terms.resize(terms.size());
  for (size_t k = 0; k < terms.size(); ++k) sum.terms[k] += share * terms[k];
  sum.total += share * total;
  backward(share == 1 ? losses.total : scale(losses.total, share));
}

StepValues values_and_gradients(Optimizer& optimizer,
                                const std::function<StepLosses(int64_t part)>& losses, int64_t step,
                                int64_t parts) {
  optimizer.clear_gradients();
  StepValues values;
  for (int64_t part = 0; part < parts; ++part)
    accumulate(losses(part), 1.0 / double(parts), step, values);
  const std::string wrong = optimizer.nonfinite_gradient();
  check(wrong.empty(), "training step ", step, ": the gradient of ", wrong,
        " is not finite; lower the learning rate");
  return values;
}

}  // namespace

StepValues train_step(Module& model, Optimizer& optimizer,
                      const std::function<StepLosses(int64_t part)>& losses, double learning_rate,
                      int64_t step, int64_t parts) {
  check(parts >= 1, "training step ", step, ": ", parts, " parts; expected at least one");
  RunningStatistics before(model);
  StepValues values;
  try {
    values = values_and_gradients(optimizer, losses, step, parts);
  } catch (...) {
    before.restore();
    throw;
  }
  optimizer.step(learning_rate);
  return values;
}

}  // namespace bbam
