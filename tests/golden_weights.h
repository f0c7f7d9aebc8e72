// Whole networks against torchvision's: both sides compute the weights from their names, and the
// golden files hold samples of what comes out. The other half is tests/golden/make_detector.py.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/module.h"
#include "tensor/random.h"
#include "tests/golden.h"

namespace bbam::test {

constexpr uint64_t kSeed = 2021;

// 64-bit FNV-1a.
inline uint64_t name_hash(const std::string& name) {
  uint64_t value = 0xcbf29ce484222325ull;
  for (unsigned char byte : name) value = (value ^ byte) * 0x100000001b3ull;
  return value;
}

// The range of a parameter: scales keep activations in bounds without training.
inline std::pair<double, double> value_range(const std::string& name, const Shape& shape) {
  const auto contains = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (name.ends_with("running_var")) return {0.5, 1.5};
  if (shape.rank() == 1) {
    if (name.ends_with("bn3.weight")) return {0.2, 0.6};
    return name.ends_with("weight") ? std::pair{0.8, 1.2} : std::pair{-0.1, 0.1};
  }
  const double fan_in = double(shape.size()) / double(shape[0]);
  double bound = std::sqrt((contains("fpn") ? 0.3 : 6.0) / fan_in);
  if (contains("bbox_pred")) bound = (contains("rpn") ? 0.2 : 1.0) * std::sqrt(3.0 / fan_in);
  if (contains("cls_")) bound = 2.0 * std::sqrt(3.0 / fan_in);
  return {-bound, bound};
}

inline void fill_by_name(Module& module, const std::string& prefix = "") {
  module.visit(prefix, [](const std::string& name, Variable& variable) {
    const auto [low, high] = value_range(name, variable.shape());
    const Random random(kSeed, name_hash(name));
    float* values = variable.mutable_value().mutable_data<float>();
    for (int64_t k = 0; k < variable.value().size(); ++k)
      values[k] = float(random.uniform(uint64_t(k), low, high));
  });
}

// The largest difference, relative to the size of the expected values as a whole.
inline double relative(const std::vector<float>& got, const std::vector<float>& expected) {
  REQUIRE(got.size() == expected.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference = std::max(difference, double(std::abs(got[i] - expected[i])));
    size = std::max(size, double(std::abs(expected[i])));
    if (std::isnan(got[i])) return INFINITY;
  }
  return difference / size;
}

// What `sample` of make_detector.py wrote.
struct GoldenSamples {
  explicit GoldenSamples(const std::string& file) : tensors(golden(file).tensors) {}

  TensorMap tensors;

  std::vector<float> values(const std::string& name) const {
    return tensors.at(name).to_vector<float>();
  }
  // Elements of `got` at the places that the script looked at, and its moments.
  void check_sample(const std::string& name, const Tensor& got, double tolerance = 1e-4) const {
    const std::vector<float> flat = got.to_vector<float>();
    const std::vector<float> expected = values(name + ".values");
    const Random places(kSeed, name_hash(name));
    std::vector<float> sample;
    for (size_t k = 0; k < expected.size(); ++k)
      sample.push_back(flat[size_t(places.uniform(k) * double(flat.size()))]);
    double mean = 0, square = 0;
    for (float value : flat) mean += value / double(flat.size());
    for (float value : flat) square += (value - mean) * (value - mean) / double(flat.size());
    INFO(name);
    CHECK(relative(sample, expected) < tolerance);
    CHECK(relative({float(mean), float(std::sqrt(square))}, values(name + ".moments")) < tolerance);
  }
};

}  // namespace bbam::test
