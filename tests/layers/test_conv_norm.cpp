#include <doctest/doctest.h>

#include <cmath>

#include "layers/resnet.h"
#include "layers/roi_align.h"
#include "tensor/profile.h"
#include "tests/determinism.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

ConvNorm frozen_norm(double epsilon) {
  Initializer init(1);
  return {init.he_normal({8, 1, 1, 4}), {}, {.epsilon = epsilon}};
}

}  // namespace

TEST_CASE("conv norm: a frozen norm divides by the root of variance + epsilon") {
  const Tensor x = random_tensor({1, 5, 6, 4}, 2).cast(DType::kF32);
  CHECK(ResNetSpec{}.epsilon == 1e-5);
  ConvNorm none = frozen_norm(0), some = frozen_norm(1e-3);
  const double variance = 0.01;
  for (ConvNorm* conv : {&none, &some}) {
    conv->weight.set_needs_grad(false);
    conv->running_var.mutable_value().fill(variance);
  }
  const auto a = none.forward(x, false).value().to_vector<float>();
  const auto b = some.forward(x, false).value().to_vector<float>();
  const double ratio = std::sqrt((variance + 1e-3) / variance);
  for (size_t i = 0; i < a.size(); ++i)
    CHECK(double(a[i]) == doctest::Approx(ratio * double(b[i])).epsilon(1e-5));
}

TEST_CASE("conv norm: a trained weight is scaled once per pass, a constant one never again") {
  const Tensor x = random_tensor({1, 5, 6, 4}, 2).cast(DType::kF32);
  ConvNorm conv = frozen_norm(1e-5);
  for (const bool trained : {true, false}) {
    conv.weight.set_needs_grad(trained);
    const auto first = conv.forward(x, true).value().to_vector<float>();
    if (trained) conv.weight.mutable_value().fill(0.5);  // as an optimiser's step does
    profile::start();
    conv.forward(x, true);
    profile::stop();
    const std::string table = profile::table();
    INFO(table);
    CHECK(table.find("frozen_scale_shift") == std::string::npos);
    CHECK((table.find("mul") != std::string::npos) == trained);
  }
}

TEST_CASE("roi_align: levels on another device than the RoIs are refused") {
  for (Device device : available_devices()) {
    if (device == kCpu) continue;
    const Variable features(Tensor::zeros({1, 4, 4, 8}, DType::kF32, device));
    const Tensor rois = Tensor::from<float>({0, 0, 0, 2, 2}, {1, 5}, device);
    CHECK_THROWS_WITH_AS(
        roi_align_levels({features}, {1.0}, rois, Tensor::zeros({1}, DType::kI32), {}),
        doctest::Contains("expected one device"), Error);
  }
}

TEST_CASE("conv2d: the gradient of the bias has the same bytes for any number of threads") {
  const std::vector<Tensor> inputs{random_tensor({2, 40, 53, 16}, 1),
                                   random_tensor({24, 1, 1, 16}, 2), random_tensor({24}, 3)};
  for (const bool relu : {false, true})
    check_same_bytes(
        [=](const std::vector<Variable>& v) {
          return conv2d(v[0], v[1], {}, {.bias = v[2], .relu = relu});
        },
        inputs);
}
