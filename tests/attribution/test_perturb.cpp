#include <doctest/doctest.h>

#include "attribution/perturb.h"
#include "attribution/stride.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr std::array<double, 3> kFill{0.5, -0.25, 2};

// Section 3.2 as it stands, pixel by pixel.
std::vector<double> blend(const Tensor& image, const Tensor& mask) {
  const auto i = image.to_vector<double>(), m = mask.to_vector<double>();
  std::vector<double> y;
  for (size_t k = 0; k < m.size(); ++k)
    for (size_t c = 0; c < 3; ++c) {
      const size_t pixel = k % size_t(image.dim(1) * image.dim(2));
      y.push_back(i[3 * pixel + c] * m[k] + kFill[c] * (1 - m[k]));
    }
  return y;
}

Example perturb_example(const std::string& what, int64_t count, int64_t height, int64_t width) {
  return {
      what,
      {random_tensor({1, height, width, 3}, 1), random_tensor({count, height, width, 1}, 2, 0, 1)},
      [](const std::vector<Variable>& v) { return perturb(v[0].value(), v[1], kFill); },
      [](const std::vector<Tensor>& v) { return blend(v[0], v[1]); }};
}

}  // namespace

TEST_CASE("op perturb") {
  run({.op = "perturb",
       .examples = {perturb_example("two masks", 2, 5, 4), perturb_example("one pixel", 3, 1, 1),
                    perturb_example("odd", 1, 3, 7), perturb_example("no masks", 0, 4, 4)},
       .differentiable = {false, true}});
}

TEST_CASE(
    "perturb: METHOD A2, a mask of ones keeps the image and a mask of zeros leaves the fill") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor image = random_tensor({1, 6, 5, 3}, 3, -100, 100).to(device);
    const Variable ones(Tensor::full({1, 6, 5, 1}, 1, DType::kF64, device));
    const Variable zeros(Tensor::zeros({1, 6, 5, 1}, DType::kF64, device));
    CHECK(perturb(image, ones, kFill).value().to_vector<double>() == image.to_vector<double>());
    const auto values = perturb(image, zeros, kFill).value().to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == kFill[i % 3]);
  }
}

TEST_CASE("perturb: METHOD A2, masks of different grids are brought to the image and stay apart") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Variable a(Tensor::full({2, 3}, 0.25, DType::kF32, device)),
        b(Tensor::full({5, 4}, 0.75, DType::kF32, device));
    for (Corners corners : {Corners::kAligned, Corners::kHalfPixel}) {
      const Tensor up = upsample_masks({a, b}, 9, 11, corners).value();
      CHECK(up.shape() == Shape{2, 9, 11, 1});
      for (const float v : up.rows(0, 1).to_vector<float>()) CHECK(v == close_to(0.25, 1e-6));
      for (const float v : up.rows(1, 2).to_vector<float>()) CHECK(v == close_to(0.75, 1e-6));
    }
  }
}

TEST_CASE("stride: METHOD A4, s(a) = 16 + 48 sqrt(a)") {
  CHECK(adaptive_stride(0) == 16);
  CHECK(adaptive_stride(1) == 64);
  CHECK(adaptive_stride(0.25) == 40);
  CHECK(adaptive_stride(1.7) == 64);  // a box may stick out of its image
  CHECK_THROWS_AS(adaptive_stride(-0.1), Error);
}

TEST_CASE("stride: METHOD A4, coordinates are those of an input of 800 by at most 1333 pixels") {
  CHECK(scale_of_input(800, 1066) == 1);
  CHECK(scale_of_input(749, 1333) == 1);  // a wide photograph, held by its long side
  CHECK(scale_of_input(1333, 500) == 1);
  CHECK(scale_of_input(320, 426) == 0.4);
  CHECK(scale_of_input(1600, 1600) == 2);
}

TEST_CASE("stride: METHOD A2, the paper's grid is rounded up and the authors' is truncated") {
  const MaskGrid up = mask_grid(800, 1066, 40, GridRounding::kCeil);
  CHECK(up.height == 20);
  CHECK(up.width == 27);
  const MaskGrid down = mask_grid(800, 1066, 40, GridRounding::kTruncate);
  CHECK(down.height == 20);
  CHECK(down.width == 26);
  CHECK(mask_grid(10, 10, 64, GridRounding::kTruncate).height == 1);
}
