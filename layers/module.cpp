#include "layers/module.h"

#include <cmath>
#include <set>

#include "layers/matmul.h"

namespace bbam {

Tensor Initializer::normal(Shape shape, double std_dev) {
  RandomSequence random(seed_, 1000 + next_++);
  std::vector<float> values(size_t(shape.size()));
  for (float& value : values) value = float(std_dev * random.normal());
  return Tensor::from(values, shape);
}

Tensor Initializer::uniform(Shape shape, double bound) {
  RandomSequence random(seed_, 1000 + next_++);
  std::vector<float> values(size_t(shape.size()));
  for (float& value : values) value = float(random.uniform(-bound, bound));
  return Tensor::from(values, shape);
}

Tensor Initializer::he_normal(Shape w) {
  check(w.rank() == 4, "he_normal: ", w, "; expected (Cout, kh, kw, Cin)");
  return normal(w, std::sqrt(2.0 / double(w[0] * w[1] * w[2])));
}

Tensor Initializer::lecun_uniform(Shape weight) {
  const double fan_in = double(weight.size() / std::max<int64_t>(weight[0], 1));
  return uniform(weight, std::sqrt(3.0 / fan_in));
}

Conv2d::Conv2d(Tensor weight_value, bool with_bias, Conv2dSpec conv_spec)
    : weight(std::move(weight_value), true), spec(conv_spec) {
  if (with_bias) bias = Variable(Tensor::zeros({weight.dim(0)}), true);
}

Variable Conv2d::operator()(const Variable& x, bool relu) const {
  return conv2d(x, weight, spec, {.bias = bias, .relu = relu});
}

void Conv2d::visit(const std::string& prefix, const ParameterVisitor& f) {
  f(prefix + "weight", weight);
  if (bias.defined()) f(prefix + "bias", bias);
}

Linear::Linear(Tensor weight_value) : weight(std::move(weight_value), true) {
  bias = Variable(Tensor::zeros({weight.dim(0)}), true);
}

Variable Linear::operator()(const Variable& x) const { return linear(x, weight, bias); }

void Linear::visit(const std::string& prefix, const ParameterVisitor& f) {
  f(prefix + "weight", weight);
  f(prefix + "bias", bias);
}

void freeze(Module& module, const std::string& prefix) {
  module.visit("", [&](const std::string& name, Variable& variable) {
    if (name.starts_with(prefix)) variable.set_needs_grad(false);
  });
}

void move_to(Module& module, Device device) {
  module.visit("", [&](const std::string&, Variable& variable) {
    variable.mutable_value() = variable.value().to(device);
  });
}

std::map<std::string, Tensor> named_tensors(Module& module) {
  std::map<std::string, Tensor> tensors;
  module.visit("", [&](const std::string& name, Variable& variable) {
    check(tensors.emplace(name, variable.value()).second, "two parameters are named ", name);
  });
  return tensors;
}

std::vector<std::string> load_tensors(Module& module, const std::map<std::string, Tensor>& tensors,
                                      const std::string& source) {
  std::set<std::string> wanted;
  // Everything is checked before anything is written: a file that does not fit changes nothing.
  module.visit("", [&](const std::string& name, Variable& variable) {
    const auto found = tensors.find(name);
    check(found != tensors.end(), source, ": has no tensor '", name, "' (expected ",
          variable.shape(), ")");
    check(found->second.shape() == variable.shape(), source, ": tensor '", name, "' is ",
          found->second.shape(), "; expected ", variable.shape());
    wanted.insert(name);
  });
  module.visit("", [&](const std::string& name, Variable& variable) {
    const Tensor value = tensors.at(name).cast(variable.dtype()).to(variable.device());
    variable.mutable_value().copy_from(value);
  });
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : tensors)
    if (!wanted.contains(name)) unused.push_back(name);
  return unused;
}

}  // namespace bbam
