// Modules: structs of parameters that are called like functions.
//
// A module names its parameters and buffers through visit(); checkpoints, optimisers and freezing
// are all visitors. Names are torchvision's, so its weights can be read. A parameter is a Variable
// that needs a gradient; a frozen parameter or a buffer is one that does not.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "layers/conv2d.h"
#include "tensor/random.h"

namespace bbam {

using ParameterVisitor = std::function<void(const std::string& name, Variable& variable)>;

struct Module {
  virtual ~Module() = default;
  // Calls f for each parameter and buffer, in a fixed order. Names begin with `prefix`, which is
  // empty or ends with a dot.
  virtual void visit(const std::string& prefix, const ParameterVisitor& f) = 0;
};

// Starting values. The k-th tensor asked for depends on (seed, k) alone.
class Initializer {
 public:
  explicit Initializer(uint64_t seed) : seed_(seed) {}
  Tensor normal(Shape shape, double std_dev);
  Tensor uniform(Shape shape, double bound);  // in [-bound, bound)
  // He et al. 2015: normal with variance 2 / (outputs that each input value reaches).
  Tensor he_normal(Shape conv_weight);
  // Uniform with variance 1 / (inputs that each output value reads): "Kaiming uniform, a = 1".
  Tensor lecun_uniform(Shape weight);

 private:
  uint64_t seed_, next_ = 0;
};

struct Conv2d : Module {
  Variable weight;  // (Cout, kh, kw, Cin)
  Variable bias;    // (Cout), or undefined
  Conv2dSpec spec;

  Conv2d() = default;
  Conv2d(Tensor weight_value, bool with_bias, Conv2dSpec conv_spec);
  Variable operator()(const Variable& x, bool relu = false) const;
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

struct Linear : Module {
  Variable weight;  // (out, in)
  Variable bias;    // (out)

  Linear() = default;
  explicit Linear(Tensor weight_value);
  Variable operator()(const Variable& x) const;  // (N, in) -> (N, out)
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

// ---- visitors that everything needs

// Marks every parameter whose name begins with `prefix` as constant.
void freeze(Module& module, const std::string& prefix = "");
// Moves all parameters and buffers.
void move_to(Module& module, Device device);
// Parameters and buffers by name; the tensors are shared with the module.
std::map<std::string, Tensor> named_tensors(Module& module);
// Overwrites parameters and buffers by name. Every name of the module must be there with its shape;
// otherwise Error names the tensor, both shapes and `source` (the file). Further names are
// returned.
std::vector<std::string> load_tensors(Module& module, const std::map<std::string, Tensor>& tensors,
                                      const std::string& source);

}  // namespace bbam
