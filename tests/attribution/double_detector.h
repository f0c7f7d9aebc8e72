// A real detector for differences in double: smaller still than the tiny one, and its norms do
// something.
#pragma once
#include <string>

#include "tests/detectors/tiny_detector.h"
#include "tests/op_case.h"

namespace bbam::test {

inline FasterRcnnSpec small_spec(Norm norm) {
  FasterRcnnSpec spec = tiny_spec();
  spec.resnet.norm = norm;
  spec.resnet.stem_width = 4;
  spec.fpn.channels = 6;
  spec.roi_heads.head_width = 10;
  return spec;
}

// All parameters in double, and norms that do something: statistics, scales and shifts at random.
inline void make_double_and_lively(Module& module, Device device) {
  uint64_t seed = 100;
  module.visit("", [&](const std::string& name, Variable& variable) {
    Tensor value = variable.value().cast(DType::kF64);
    const bool is_norm =
        name.find("bn") != std::string::npos || name.find("downsample.1") != std::string::npos;
    if (is_norm && (name.ends_with("running_var") || name.ends_with(".weight")))
      value = random_tensor(value.shape(), ++seed, 0.6, 1.6);
    if (is_norm && (name.ends_with("running_mean") || name.ends_with(".bias")))
      value = random_tensor(value.shape(), ++seed, -0.3, 0.3);
    variable = Variable(value.to(device), variable.needs_grad());
  });
}

}  // namespace bbam::test
