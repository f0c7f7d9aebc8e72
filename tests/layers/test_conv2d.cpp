#include <doctest/doctest.h>

#include "layers/conv2d.h"
#include "tensor/device.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Scatter form: every input pixel adds to the outputs it reaches. The reference loops gather.
std::vector<double> scatter_conv(const Tensor& x, const Tensor& w, const Conv2dSpec& s) {
  const Shape y = conv2d_output_shape(x.shape(), w.shape(), s);
  const auto xs = x.to_vector<double>(), ws = w.to_vector<double>();
  std::vector<double> out(size_t(y.size()), 0.0);
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t i = 0; i < x.dim(1); ++i)
      for (int64_t j = 0; j < x.dim(2); ++j)
        for (int64_t r = 0; r < w.dim(1); ++r)
          for (int64_t c = 0; c < w.dim(2); ++c) {
            const int64_t p = i + s.padding - r * s.dilation, q = j + s.padding - c * s.dilation;
            if (p < 0 || q < 0 || p % s.stride || q % s.stride) continue;
            if (p / s.stride >= y[1] || q / s.stride >= y[2]) continue;
            for (int64_t o = 0; o < w.dim(0); ++o)
              for (int64_t k = 0; k < w.dim(3); ++k)
                out[size_t(((n * y[1] + p / s.stride) * y[2] + q / s.stride) * y[3] + o)] +=
                    xs[size_t(((n * x.dim(1) + i) * x.dim(2) + j) * x.dim(3) + k)] *
                    ws[size_t(((o * w.dim(1) + r) * w.dim(2) + c) * w.dim(3) + k)];
          }
  return out;
}

Example conv_example(const std::string& what, Shape x, Shape w, Conv2dSpec spec) {
  return {what,
          {random_tensor(x, 1), random_tensor(w, 2)},
          [=](const std::vector<Variable>& v) { return conv2d(v[0], v[1], spec); },
          [=](const std::vector<Tensor>& v) { return scatter_conv(v[0], v[1], spec); }};
}

Example fused_example(const std::string& what, Shape x, Shape w, Conv2dSpec spec) {
  const Shape y = conv2d_output_shape(x, w, spec);
  return {what,
          {random_tensor(x, 3), random_tensor(w, 4), random_tensor({w[0]}, 5), random_tensor(y, 6)},
          [=](const std::vector<Variable>& v) {
            return conv2d(v[0], v[1], spec, {.bias = v[2], .residual = v[3], .relu = true});
          },
          [=](const std::vector<Tensor>& v) {
            std::vector<double> out = scatter_conv(v[0], v[1], spec);
            const auto bias = v[2].to_vector<double>(), residual = v[3].to_vector<double>();
            for (size_t i = 0; i < out.size(); ++i)
              out[i] = std::max(0.0, out[i] + bias[i % bias.size()] + residual[i]);
            return out;
          }};
}

Example transpose_example(const std::string& what, Shape x, Shape w, Conv2dSpec spec, int extra) {
  return {what,
          {random_tensor(x, 7), random_tensor(w, 8), random_tensor({w[3]}, 9)},
          [=](const std::vector<Variable>& v) {
            return conv_transpose2d(v[0], v[1], v[2], spec, extra);
          },
          // <conv(z), x> = <z, transpose(x)> for every unit z.
          [=](const std::vector<Tensor>& v) {
            const Shape y = conv_transpose2d(v[0], v[1], Variable(), spec, extra).shape();
            const auto xs = v[0].to_vector<double>(), bias = v[2].to_vector<double>();
            std::vector<double> out(size_t(y.size()), 0.0);
            for (size_t i = 0; i < out.size(); ++i) {
              std::vector<double> unit(out.size(), 0.0);
              unit[i] = 1;
              const auto image = scatter_conv(Tensor::from(unit, y), v[1], spec);
              for (size_t k = 0; k < image.size(); ++k) out[i] += image[k] * xs[k];
              out[i] += bias[i % bias.size()];
            }
            return out;
          }};
}

}  // namespace

TEST_CASE("op conv2d") {
  run({"conv2d",
       {conv_example("3x3", {2, 6, 7, 4}, {5, 3, 3, 4}, {.padding = 1}),
        conv_example("1x1", {1, 5, 4, 16}, {16, 1, 1, 16}, {}),
        conv_example("1x1 stride 2", {2, 5, 6, 16}, {32, 1, 1, 16}, {.stride = 2}),
        conv_example("7x7 stride 2, three channels", {1, 11, 9, 3}, {16, 7, 7, 3},
                     {.stride = 2, .padding = 3}),
        conv_example("dilation 3", {1, 9, 8, 2}, {3, 3, 3, 2}, {.padding = 3, .dilation = 3}),
        conv_example("kernel 3x1, odd", {3, 1, 5, 1}, {7, 3, 1, 1}, {.padding = 1}),
        conv_example("many channels", {1, 3, 5, 48}, {17, 3, 3, 48}, {.stride = 2, .padding = 1}),
        conv_example("no images", {0, 4, 4, 2}, {3, 3, 3, 2}, {.padding = 1}),
        conv_example("image smaller than the kernel", {1, 2, 2, 2}, {3, 3, 3, 2}, {})}});
}

TEST_CASE("op conv2d with bias, residual and ReLU") {
  run({"conv2d fused",
       {fused_example("3x3", {1, 5, 6, 4}, {8, 3, 3, 4}, {.padding = 1}),
        fused_example("1x1", {2, 3, 5, 16}, {32, 1, 1, 16}, {}),
        fused_example("stride 2, odd", {1, 7, 5, 3}, {5, 3, 3, 3}, {.stride = 2, .padding = 1}),
        fused_example("no images", {0, 4, 4, 2}, {3, 1, 1, 2}, {})}});
}

TEST_CASE("op conv_transpose2d") {
  run({"conv_transpose2d",
       {transpose_example("2x2 stride 2", {1, 3, 4, 3}, {3, 2, 2, 5}, {.stride = 2}, 0),
        transpose_example("3x3 stride 2, output padding", {1, 3, 2, 2}, {2, 3, 3, 3},
                          {.stride = 2, .padding = 1}, 1),
        transpose_example("1x1", {2, 1, 3, 4}, {4, 1, 1, 2}, {}, 0),
        transpose_example("no images", {0, 3, 3, 2}, {2, 2, 2, 3}, {.stride = 2}, 0)}});
}

TEST_CASE("conv2d: what does not fit is refused with the shapes") {
  const Variable x(Tensor::zeros({1, 4, 4, 3})), w(Tensor::zeros({2, 3, 3, 4}));
  CHECK_THROWS_WITH_AS(conv2d(x, w), doctest::Contains("has 3 channels"), Error);
}

TEST_CASE("conv2d: the same bytes for any number of threads") {
  struct Case {
    Shape x, w;
    Conv2dSpec spec;
  };
  const std::vector<Case> cases{{{1, 40, 53, 64}, {64, 3, 3, 64}, {.padding = 1}},
                                {{2, 20, 27, 64}, {128, 1, 1, 64}, {}},
                                {{1, 40, 53, 128}, {256, 1, 1, 128}, {.stride = 2}},
                                {{1, 64, 85, 3}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}},
                                {{8, 7, 7, 64}, {64, 3, 3, 64}, {.padding = 1}},
                                {{1, 9, 12, 256}, {256, 3, 3, 256}, {.padding = 1}}};
  const int before = threads();
  for (const Case& c : cases) {
    INFO("x ", c.x.to_vector()[1], "x", c.x[2], "x", c.x[3], " kernel ", c.w[1]);
    std::vector<std::vector<float>> first;
    for (int count : {1, 2, 3, 8}) {
      set_threads(count);
      Variable x(random_tensor(c.x, 1).cast(DType::kF32), true);
      Variable w(random_tensor(c.w, 2).cast(DType::kF32), true);
      const Variable y = conv2d(x, w, c.spec, {.relu = true});
      backward(y, random_tensor(y.shape(), 3).cast(DType::kF32));
      const std::vector<std::vector<float>> all{
          y.value().to_vector<float>(), x.grad().to_vector<float>(), w.grad().to_vector<float>()};
      if (first.empty()) first = all;
      CHECK(all[0] == first[0]);
      CHECK(all[1] == first[1]);
      CHECK(all[2] == first[2]);
    }
  }
  set_threads(before);
}
