// Optimisers: from gradients to new parameter values, in place.
//
// A step changes the parameters that have a gradient and leaves the others, and their state, alone.
// Elements are independent, so results are the same bytes for any thread count. One kernel per
// parameter. State is made on the device of its parameter: move a module first, then give it to an
// optimiser.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace bbam {

// Parameters that share a learning rate and a decay. names[i] is that of parameters[i].
struct ParameterGroup {
  std::vector<std::string> names = {};
  std::vector<Variable> parameters = {};
  double lr_scale = 1;      // times the rate of the step
  double weight_decay = 0;  // added to the gradient, times the parameter
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  virtual void step(double learning_rate) = 0;
  void clear_gradients();
  // The name of the first parameter whose gradient holds a NaN or an infinity; "" when none does.
  std::string nonfinite_gradient() const;

  // Copies of everything that the next step depends on beside values, gradients and rate, named
  // KIND/PARAMETER: with them a resumed run goes on byte for byte.
  std::map<std::string, Tensor> state() const;
  // Throws Error, and changes nothing, unless `state` holds exactly these names, types and shapes.
  void load_state(const std::map<std::string, Tensor>& state);

 protected:
  // Throws Error when names and parameters do not pair up, a name comes twice, or a parameter is
  // frozen.
  explicit Optimizer(const std::vector<ParameterGroup>& groups);

  struct Entry {
    std::string name;
    Variable parameter;
    double lr_scale, weight_decay;
    std::map<std::string, Tensor> state;  // by kind
  };
  // Throws Error unless gradient and state lie where the parameter does.
  static void check_devices(const Entry& entry);
  std::vector<Entry> entries_;
};

// Stochastic gradient descent with momentum [Polyak 1964], as PyTorch counts it:
// g = gradient + decay w; v = momentum v + g, v being 0 at first; w -= rate v.
class Sgd : public Optimizer {
 public:
  explicit Sgd(const std::vector<ParameterGroup>& groups, double momentum = 0.9);
  void step(double learning_rate) override;

 private:
  double momentum_;
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

// Adam [Kingma and Ba 2015, algorithm 1]; epsilon is added to the corrected root, decay to the
// gradient: g = gradient + decay w; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// w -= rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), t counting the parameter's own
// steps from 1.
class Adam : public Optimizer {
 public:
  explicit Adam(const std::vector<ParameterGroup>& groups, AdamOptions options = {});
  void step(double learning_rate) override;

 private:
  AdamOptions options_;
};

}  // namespace bbam
