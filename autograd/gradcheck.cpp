#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "tensor/random.h"

namespace bbam {
namespace {

std::vector<double> random_cotangent(int64_t size, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(size));
  RandomSequence random(seed, 77);
  for (double& value : values) value = random.uniform(-1, 1);
  return values;
}

// <c, f(inputs)> with element k of input i moved by `step`.
double project(const Function& f, std::vector<Tensor> inputs, const std::vector<double>& c,
               size_t i, size_t k, double step) {
  std::vector<double> values = inputs[i].to_vector<double>();
  values[k] += step;
  inputs[i] = Tensor::from(values, inputs[i].shape(), inputs[i].device());
  const NoGrad frozen;
  const std::vector<Variable> variables(inputs.begin(), inputs.end());
  const std::vector<double> y = f(variables).value().to_vector<double>();
  double sum = 0;
  for (size_t j = 0; j < y.size(); ++j) sum += y[j] * c[j];
  return sum;
}

}  // namespace

GradcheckResult gradcheck(const Function& f, const std::vector<Tensor>& inputs,
                          const std::vector<bool>& wanted, const GradcheckOptions& options) {
  std::vector<Variable> variables;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool is_wanted = wanted.empty() || wanted[i];
    variables.emplace_back(inputs[i].clone(), is_wanted && inputs[i].dtype() == DType::kF64);
  }
  const Variable y = f(variables);
  const std::vector<double> c = random_cotangent(y.value().size(), options.seed);
  if (y.needs_grad()) backward(y, Tensor::from(c, y.shape(), y.device()));

  GradcheckResult result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!variables[i].needs_grad()) continue;
    const Tensor& gradient = variables[i].grad();
    const auto size = size_t(inputs[i].size());
    const std::vector<double> analytic =
        gradient.defined() ? gradient.to_vector<double>() : std::vector<double>(size);
    const size_t stride = std::max<size_t>(1, size / size_t(options.most));
    for (size_t k = 0; k < size; k += stride) {
      const double numeric =
          (project(f, inputs, c, i, k, options.step) - project(f, inputs, c, i, k, -options.step)) /
          (2 * options.step);
      const double scale = std::max({1.0, std::abs(numeric), std::abs(analytic[k])});
      const double error = std::abs(numeric - analytic[k]) / scale;
      result.checked += 1;
      if (error <= result.worst) continue;  // false for NaN, which must not pass
      result.worst = std::isnan(error) ? INFINITY : error;
      result.where =
          join("input ", i, " element ", k, ": analytic ", analytic[k], ", numeric ", numeric);
    }
  }
  return result;
}

}  // namespace bbam
