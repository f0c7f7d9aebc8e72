// A module's or optimiser's tensors, kept to be compared later.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "layers/module.h"

namespace bbam::test {

inline std::map<std::string, std::vector<float>> values_of(
    const std::map<std::string, Tensor>& tensors) {
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, tensor] : tensors)
    values[name] = tensor.cast(DType::kF32).to_vector<float>();
  return values;
}

inline std::map<std::string, Tensor> copies(Module& module) {
  std::map<std::string, Tensor> tensors = named_tensors(module);
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  return tensors;
}

}  // namespace bbam::test
