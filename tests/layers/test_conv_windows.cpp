#include "layers/conv_windows.h"

#include <doctest/doctest.h>

#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Windows = std::vector<Window>;

// The sum over a 3 x 3 neighbourhood, written out, where a window of the image covers the pixel.
std::vector<double> oracle(const Tensor& x, const Tensor& w, const Tensor& bias,
                           const Windows& windows) {
  const auto xs = x.to_vector<double>(), ws = w.to_vector<double>(), bs = bias.to_vector<double>();
  const int64_t height = x.dim(1), width = x.dim(2), in = x.dim(3), out = w.dim(0);
  std::vector<double> y;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t row = 0; row < height; ++row)
      for (int64_t column = 0; column < width; ++column)
        for (int64_t o = 0; o < out; ++o) {
          const Window& a = windows[size_t(n)];
          const bool is_inside =
              row >= a.top && row < a.bottom && column >= a.left && column < a.right;
          double sum = is_inside ? bs[size_t(o)] : 0;
          for (int64_t i = -1; is_inside && i <= 1; ++i)
            for (int64_t j = -1; j <= 1; ++j) {
              const int64_t r = row + i, c = column + j;
              if (r < 0 || r >= height || c < 0 || c >= width) continue;
              for (int64_t k = 0; k < in; ++k)
                sum += xs[size_t(((n * height + r) * width + c) * in + k)] *
                       ws[size_t(((o * 3 + i + 1) * 3 + j + 1) * in + k)];
            }
          y.push_back(sum);
        }
  return y;
}

Example example(const char* what, Shape shape, const Windows& windows) {
  return {what,
          {random_tensor(shape, 1), random_tensor({5, 3, 3, shape[3]}, 2), random_tensor({5}, 3)},
          [=](const std::vector<Variable>& v) {
            Conv2d conv;
            conv.weight = v[1];
            conv.bias = v[2];
            conv.spec = {.padding = 1};
            return conv2d_in_windows(v[0], conv, windows);
          },
          [=](const std::vector<Tensor>& v) { return oracle(v[0], v[1], v[2], windows); },
          Shape{shape[0], shape[1], shape[2], 5}};
}

}  // namespace

TEST_CASE("op conv2d_in_windows") {
  run({.op = "conv2d_in_windows",
       .examples = {
           example("inside, at a corner, none", {3, 7, 6, 4}, {{2, 4, 1, 5}, {0, 3, 3, 6}, {}}),
           example("all of it", {1, 5, 4, 3}, {{0, 5, 0, 4}}),
           example("one pixel, and a last row", {2, 4, 5, 2}, {{1, 2, 2, 3}, {3, 4, 0, 5}})}});
}

TEST_CASE("conv2d_in_windows: windows that do not fit, convolutions that change the extent") {
  Conv2d conv(Tensor::zeros({2, 3, 3, 2}), true, {.padding = 1});
  const Variable x(Tensor::zeros({1, 4, 4, 2}));
  CHECK_THROWS_WITH_AS(conv2d_in_windows(x, conv, {{0, 5, 0, 1}}), doctest::Contains("0 to 5"),
                       Error);
  CHECK_THROWS_WITH_AS(conv2d_in_windows(x, conv, {}), doctest::Contains("0 windows"), Error);
  conv.spec.padding = 0;
  CHECK_THROWS_WITH_AS(conv2d_in_windows(x, conv, {{0, 1, 0, 1}}),
                       doctest::Contains("keeps the extent"), Error);
}
