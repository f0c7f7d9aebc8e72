// The convolutions and products of each device as a library: what op cases (tests/op_case.h) do not
// ask. Everything runs on each device of the build; on the CPU it is quick, on a GPU it matters.
#include "tensor/dnn.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/blas.h"
#include "tensor/conv_epilogue.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor f32(Shape shape, uint64_t seed, Device device) {
  return random_tensor(shape, seed).cast(DType::kF32).to(device);
}

std::vector<char> bytes_of(const Tensor& tensor) {
  const Tensor host = tensor.to(kCpu);
  const auto* first = static_cast<const char*>(host.raw());
  return {first, first + host.bytes()};
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const auto va = a.to(kCpu).to_vector<float>(), vb = b.to(kCpu).to_vector<float>();
  REQUIRE(va.size() == vb.size());
  double most = 0;
  for (size_t i = 0; i < va.size(); ++i)
    most = std::max(
        most, std::abs(double(va[i]) - double(vb[i])) / std::max(1.0, std::abs(double(vb[i]))));
  return most;
}

// One convolution and its gradients for a fixed cotangent.
struct Convolution {
  Shape x, w;
  Conv2dSpec spec;

  std::array<Tensor, 3> run(Dnn& library, Device device) const {
    const Tensor input = f32(x, 1, device), weight = f32(w, 2, device);
    Tensor y = Tensor::empty(conv2d_output_shape(x, w, spec), DType::kF32, device);
    const Tensor dy = f32(y.shape(), 3, device);
    Tensor dx = Tensor::empty_like(input), dw = Tensor::empty_like(weight);
    library.conv2d(input, weight, {}, spec, y);
    library.conv2d_backward_data(dy, weight, spec, dx);
    library.conv2d_backward_filter(input, dy, spec, dw);
    return {y, dx, dw};
  }
};

const std::vector<Convolution> kConvolutions{
    {{2, 14, 17, 32}, {48, 3, 3, 32}, {.padding = 1}},
    {{2, 14, 17, 64}, {32, 1, 1, 64}, {}},
    {{1, 15, 13, 32}, {64, 1, 1, 32}, {.stride = 2}},
    {{1, 32, 43, 3}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}},
    {{1, 9, 12, 5}, {7, 3, 3, 5}, {.padding = 2, .dilation = 2}}};

class WithPrecision {
 public:
  explicit WithPrecision(Precision wanted) { set_precision(wanted); }
  ~WithPrecision() { set_precision(before_); }

 private:
  Precision before_ = precision();
};

struct Epilogues {
  Tensor x, w, bias, residual;
  Conv2dSpec spec{.padding = 1};

  explicit Epilogues(Device device)
      : x(f32({2, 9, 11, 16}, 1, device)), w(f32({24, 3, 3, 16}, 2, device)),
        bias(f32({24}, 3, device)), residual(f32({2, 9, 11, 24}, 4, device)) {}

  // Bit 0 of `which` is the bias, 1 the residual, 2 the ReLU.
  Tensor run(Dnn& library, int which) const {
    ConvEpilogue e{.relu = (which & 4) != 0};
    if (which & 1) e.bias = bias;
    if (which & 2) e.residual = residual;
    Tensor y = Tensor::full(residual.shape(), kNan, DType::kF32, residual.device());
    library.conv2d(x, w, e, spec, y);
    return y;
  }
};

}  // namespace

TEST_CASE("dnn: a convolution gives the same bytes twice, in each direction") {
  for (Device device : available_devices())
    for (const Convolution& c : kConvolutions) {
      INFO(to_string(device), " kernel ", c.w[1], " stride ", c.spec.stride);
      Dnn& library = dnn(Tensor::empty({0}, DType::kF32, device));
      const auto first = c.run(library, device), second = c.run(library, device);
      for (size_t k = 0; k < 3; ++k) CHECK(bytes_of(first[k]) == bytes_of(second[k]));
    }
}

TEST_CASE("blas: a product gives the same bytes twice, and those of double within rounding") {
  for (Device device : available_devices())
    for (const bool transpose : {false, true}) {
      const Tensor a = f32({130, 257}, 1, device), b = f32({257, 66}, 2, device);
      const Tensor b_given = transpose ? f32({66, 257}, 2, device) : b;
      std::vector<char> first;
      for (int k = 0; k < 2; ++k) {
        Tensor c = Tensor::empty({130, 66}, DType::kF32, device);
        blas(c).gemm(a, b_given, c, {.transpose_b = transpose});
        if (k == 0) first = bytes_of(c);
        CHECK(bytes_of(c) == first);
        Tensor expected = Tensor::empty({130, 66}, DType::kF64);
        reference_blas().gemm(a.to(kCpu).cast(DType::kF64), b_given.to(kCpu).cast(DType::kF64),
                              expected, {.transpose_b = transpose});
        CHECK(largest_difference(c, expected.cast(DType::kF32)) < 2e-5);
      }
    }
}

TEST_CASE("dnn: every epilogue equals the reference, and its bytes do not depend on the order") {
  for (Device device : available_devices()) {
    const Epilogues convolution(device);
    Dnn& library = dnn(convolution.x);
    std::vector<std::vector<char>> upwards(8);
    for (int which = 0; which < 8; ++which) {
      INFO(to_string(device), " bias ", which & 1, " residual ", which & 2, " ReLU ", which & 4);
      const Tensor y = convolution.run(library, which);
      CHECK(largest_difference(y, convolution.run(reference_dnn(), which)) < 1e-4);
      upwards[size_t(which)] = bytes_of(y);
    }
    for (int which = 7; which >= 0; --which) {
      INFO(to_string(device), " bias ", which & 1, " residual ", which & 2, " ReLU ", which & 4);
      CHECK(bytes_of(convolution.run(library, which)) == upwards[size_t(which)]);
    }
  }
}

TEST_CASE("dnn: TF32 stays within its ten bits, and single precision comes back after it") {
  for (Device device : available_devices())
    for (const Convolution& c : kConvolutions) {
      INFO(to_string(device), " kernel ", c.w[1], " stride ", c.spec.stride);
      Dnn& library = dnn(Tensor::empty({0}, DType::kF32, device));
      const auto expected = c.run(reference_dnn(), device);
      const auto single = c.run(library, device);
      {
        const WithPrecision tf32(Precision::kTf32);
        const auto rough = c.run(library, device);
        // Of the largest value: rounding is relative to the terms, which cancel.
        for (size_t k = 0; k < 3; ++k) {
          double largest = 1;
          for (float v : expected[k].to(kCpu).to_vector<float>())
            largest = std::max(largest, std::abs(double(v)));
          CHECK(largest_difference(rough[k], expected[k]) < 1e-3 * largest);
        }
      }
      const auto again = c.run(library, device);
      for (size_t k = 0; k < 3; ++k) CHECK(bytes_of(again[k]) == bytes_of(single[k]));
    }
}

TEST_CASE("dnn: a NaN passes our own fused ReLU") {
  for (Device device : available_devices()) {
    const Tensor x = Tensor::from<float>({kNan, 1, -1}, {1, 1, 3, 1}, device);
    const Tensor w = Tensor::full({1, 1, 1, 1}, 1, DType::kF32, device);
    Tensor y = Tensor::empty_like(x), z = x.clone();
    reference_dnn().conv2d(x, w, {.relu = true}, {}, y);
    apply_epilogue({.relu = true}, z);
    for (const Tensor& result : {y, z}) {
      const auto values = result.to_vector<float>();
      CHECK(std::isnan(values[0]));
      CHECK(values[1] == 1);
      CHECK(values[2] == 0);
    }
  }
}

TEST_CASE("dnn: a bias of another type or device is refused") {
  const Tensor x = Tensor::zeros({1, 2, 2, 3}), w = Tensor::zeros({4, 1, 1, 3});
  Tensor y = Tensor::empty({1, 2, 2, 4});
  CHECK_THROWS_WITH_AS(dnn(x).conv2d(x, w, {.bias = Tensor::zeros({4}, DType::kF64)}, {}, y),
                       doctest::Contains("conv2d: bias"), Error);
  for (Device device : available_devices()) {
    if (device == kCpu) continue;
    CHECK_THROWS_WITH_AS(
        dnn(x).conv2d(x, w, {.bias = Tensor::zeros({4}, DType::kF32, device)}, {}, y),
        doctest::Contains("conv2d: bias"), Error);
  }
}
