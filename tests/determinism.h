// Value and gradients are the same bytes for one thread and for two, and on a second run.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "autograd/gradcheck.h"

namespace bbam::test {

// The result of `op` on f32 copies of the inputs, and the gradients of the f32 inputs for a fixed
// cotangent, as bytes.
inline std::vector<char> result_bytes(const Function& op, const std::vector<Tensor>& inputs,
                                      Device device) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) {
    const bool is_float = input.dtype() == DType::kF64;
    variables.emplace_back((is_float ? input.cast(DType::kF32) : input).to(device), is_float);
  }
  const Variable y = op(variables);
  std::vector<Tensor> results{y.value()};
  if (y.needs_grad()) {
    std::vector<float> seed(size_t(y.value().size()));
    for (size_t i = 0; i < seed.size(); ++i) seed[i] = float(i % 97) / 31 - 1;
    backward(y, Tensor::from(seed, y.shape(), device));
    for (const Variable& variable : variables)
      if (variable.grad().defined()) results.push_back(variable.grad());
  }
  std::vector<char> bytes;
  for (const Tensor& result : results) {
    const Tensor host = result.to(kCpu);
    const auto* first = static_cast<const char*>(host.raw());
    bytes.insert(bytes.end(), first, first + host.bytes());
  }
  return bytes;
}

// Inputs are f64 (or integer) tensors on the CPU, large enough to be shared among threads.
inline void check_same_bytes(const Function& op, const std::vector<Tensor>& inputs) {
  const int before = threads();
  for (Device device : available_devices()) {
    set_threads(1);
    const std::vector<char> expected = result_bytes(op, inputs, device);
    for (int count : {2, 2, 1}) {
      set_threads(count);
      INFO(to_string(device), " with ", count, " threads");
      CHECK(result_bytes(op, inputs, device) == expected);
    }
  }
  set_threads(before);
}

}  // namespace bbam::test
