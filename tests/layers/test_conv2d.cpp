#include <doctest/doctest.h>

#include <cmath>

#include "layers/conv2d.h"
#include "tensor/device.h"
#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Calls f(n, i, j, r, c) for each pixel (n, i, j) of x and each tap (r, c) of the kernel of w.
template <class F>
void for_each_tap(const Tensor& x, const Tensor& w, F&& f) {
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t i = 0; i < x.dim(1); ++i)
      for (int64_t j = 0; j < x.dim(2); ++j)
        for (int64_t r = 0; r < w.dim(1); ++r)
          for (int64_t c = 0; c < w.dim(2); ++c) f(n, i, j, r, c);
}

// Where entry k of pixel (n, i, j) of an NHWC shape is; (o, r, c, k) of a weight as well.
size_t at(const Shape& s, int64_t n, int64_t i, int64_t j, int64_t k) {
  return size_t(((n * s[1] + i) * s[2] + j) * s[3] + k);
}

// Scatter form: every input pixel adds to the outputs it reaches. The reference loops gather.
std::vector<double> scatter_conv(const Tensor& x, const Tensor& w, const Conv2dSpec& s,
                                 const Shape& y) {
  const auto xs = x.to_vector<double>(), ws = w.to_vector<double>();
  std::vector<double> out(size_t(y.size()), 0.0);
  for_each_tap(x, w, [&](int64_t n, int64_t i, int64_t j, int64_t r, int64_t c) {
    const int64_t p = i + s.padding - r * s.dilation, q = j + s.padding - c * s.dilation;
    if (p < 0 || q < 0 || p % s.stride || q % s.stride) return;
    if (p / s.stride >= y[1] || q / s.stride >= y[2]) return;
    for (int64_t o = 0; o < w.dim(0); ++o)
      for (int64_t k = 0; k < w.dim(3); ++k)
        out[at(y, n, p / s.stride, q / s.stride, o)] +=
            xs[at(x.shape(), n, i, j, k)] * ws[at(w.shape(), o, r, c, k)];
  });
  return out;
}

// Every input pixel stamps the kernel on the outputs, `dilation` apart; what falls on the padding
// is cut off.
std::vector<double> stamp_transpose(const Tensor& x, const Tensor& w, const Conv2dSpec& s,
                                    const Shape& y) {
  const auto xs = x.to_vector<double>(), ws = w.to_vector<double>();
  std::vector<double> out(size_t(y.size()), 0.0);
  for_each_tap(x, w, [&](int64_t n, int64_t i, int64_t j, int64_t r, int64_t c) {
    const int64_t p = i * s.stride + r * s.dilation - s.padding;
    const int64_t q = j * s.stride + c * s.dilation - s.padding;
    if (p < 0 || q < 0 || p >= y[1] || q >= y[2]) return;
    for (int64_t k = 0; k < w.dim(0); ++k)
      for (int64_t o = 0; o < w.dim(3); ++o)
        out[at(y, n, p, q, o)] += xs[at(x.shape(), n, i, j, k)] * ws[at(w.shape(), k, r, c, o)];
  });
  return out;
}

Example conv_example(const std::string& what, Shape x, Shape w, Shape y, Conv2dSpec spec) {
  return {what,
          {random_tensor(x, 1), random_tensor(w, 2)},
          [=](const std::vector<Variable>& v) { return conv2d(v[0], v[1], spec); },
          [=](const std::vector<Tensor>& v) { return scatter_conv(v[0], v[1], spec, y); },
          y};
}

// What is fused behind the convolution.
struct Parts {
  bool bias = true, residual = true, relu = true;
};

Example fused_example(const std::string& what, Shape x, Shape w, Shape y, Conv2dSpec spec,
                      Parts parts = {}) {
  return {what,
          {random_tensor(x, 3), random_tensor(w, 4), random_tensor({w[0]}, 5), random_tensor(y, 6)},
          [=](const std::vector<Variable>& v) {
            return conv2d(v[0], v[1], spec,
                          {.bias = parts.bias ? v[2] : Variable(),
                           .residual = parts.residual ? v[3] : Variable(),
                           .relu = parts.relu});
          },
          [=](const std::vector<Tensor>& v) {
            std::vector<double> out = scatter_conv(v[0], v[1], spec, y);
            const auto bias = v[2].to_vector<double>(), residual = v[3].to_vector<double>();
            for (size_t i = 0; i < out.size(); ++i) {
              if (parts.bias) out[i] += bias[i % bias.size()];
              if (parts.residual) out[i] += residual[i];
              if (parts.relu) out[i] = std::max(0.0, out[i]);
            }
            return out;
          },
          y};
}

Example transpose_example(const std::string& what, Shape x, Shape w, Shape y, Conv2dSpec spec,
                          int extra, bool has_bias = true) {
  return {what,
          {random_tensor(x, 7), random_tensor(w, 8), random_tensor({w[3]}, 9)},
          [=](const std::vector<Variable>& v) {
            return conv_transpose2d(v[0], v[1], has_bias ? v[2] : Variable(), spec, extra);
          },
          [=](const std::vector<Tensor>& v) {
            std::vector<double> out = stamp_transpose(v[0], v[1], spec, y);
            const auto bias = v[2].to_vector<double>();
            for (size_t i = 0; has_bias && i < out.size(); ++i) out[i] += bias[i % bias.size()];
            return out;
          },
          y};
}

}  // namespace

TEST_CASE("op conv2d") {
  run({"conv2d",
       {conv_example("3x3", {2, 6, 7, 4}, {5, 3, 3, 4}, {2, 6, 7, 5}, {.padding = 1}),
        conv_example("1x1", {1, 5, 4, 16}, {16, 1, 1, 16}, {1, 5, 4, 16}, {}),
        conv_example("1x1 stride 2", {2, 5, 6, 16}, {32, 1, 1, 16}, {2, 3, 3, 32}, {.stride = 2}),
        conv_example("7x7 stride 2, three channels", {1, 11, 9, 3}, {16, 7, 7, 3}, {1, 6, 5, 16},
                     {.stride = 2, .padding = 3}),
        conv_example("dilation 3", {1, 9, 8, 2}, {3, 3, 3, 2}, {1, 9, 8, 3},
                     {.padding = 3, .dilation = 3}),
        conv_example("dilation 2, 32 channels", {1, 7, 6, 32}, {32, 3, 3, 32}, {1, 7, 6, 32},
                     {.padding = 2, .dilation = 2}),
        conv_example("dilation 2 and stride 2, 16 to 24 channels", {1, 9, 8, 16}, {24, 3, 3, 16},
                     {1, 4, 3, 24}, {.stride = 2, .padding = 1, .dilation = 2}),
        conv_example("kernel 3x1, odd", {3, 1, 5, 1}, {7, 3, 1, 1}, {3, 1, 7, 7}, {.padding = 1}),
        conv_example("many channels", {1, 3, 5, 48}, {17, 3, 3, 48}, {1, 2, 3, 17},
                     {.stride = 2, .padding = 1}),
        conv_example("no images", {0, 4, 4, 2}, {3, 3, 3, 2}, {0, 4, 4, 3}, {.padding = 1}),
        conv_example("image smaller than the kernel", {1, 2, 2, 2}, {3, 3, 3, 2}, {1, 0, 0, 3},
                     {})}});
}

TEST_CASE("op conv2d with bias, residual and ReLU") {
  std::vector<Example> examples{
      fused_example("3x3", {1, 5, 6, 4}, {8, 3, 3, 4}, {1, 5, 6, 8}, {.padding = 1}),
      fused_example("stride 2, odd", {1, 7, 5, 3}, {5, 3, 3, 3}, {1, 4, 3, 5},
                    {.stride = 2, .padding = 1}),
      fused_example("dilation that reaches beyond the image", {1, 9, 3, 16}, {16, 3, 3, 16},
                    {1, 9, 3, 16}, {.padding = 4, .dilation = 4}),
      fused_example("no images", {0, 4, 4, 2}, {3, 1, 1, 2}, {0, 4, 4, 3}, {})};
  for (const bool bias : {true, false})
    for (const bool residual : {true, false})
      for (const bool relu : {true, false})
        examples.push_back(fused_example(
            join("1x1", bias ? ", bias" : "", residual ? ", residual" : "", relu ? ", ReLU" : ""),
            {2, 3, 5, 16}, {32, 1, 1, 16}, {2, 3, 5, 32}, {}, {bias, residual, relu}));
  run({"conv2d fused", examples});
}

TEST_CASE("op conv_transpose2d") {
  run({"conv_transpose2d",
       {transpose_example("2x2 stride 2", {1, 3, 4, 3}, {3, 2, 2, 5}, {1, 6, 8, 5}, {.stride = 2},
                          0),
        transpose_example("2x2 stride 2, 32 to 32 channels", {2, 3, 4, 32}, {32, 2, 2, 32},
                          {2, 6, 8, 32}, {.stride = 2}, 0),
        transpose_example("3x3 stride 2, output padding", {1, 3, 2, 2}, {2, 3, 3, 3}, {1, 6, 4, 3},
                          {.stride = 2, .padding = 1}, 1),
        transpose_example("3x3 stride 2, output padding, many channels", {1, 3, 2, 17},
                          {17, 3, 3, 32}, {1, 6, 4, 32}, {.stride = 2, .padding = 1}, 1),
        transpose_example("no bias", {1, 2, 3, 4}, {4, 3, 3, 5}, {1, 4, 5, 5}, {}, 0, false),
        transpose_example("dilation 2", {1, 3, 4, 2}, {2, 3, 3, 3}, {1, 5, 6, 3},
                          {.padding = 1, .dilation = 2}, 0),
        transpose_example("dilation 3 and stride 2, 16 channels", {1, 3, 2, 16}, {16, 2, 3, 16},
                          {1, 7, 8, 16}, {.stride = 2, .padding = 1, .dilation = 3}, 1),
        transpose_example("1x1", {2, 1, 3, 4}, {4, 1, 1, 2}, {2, 1, 3, 2}, {}, 0),
        transpose_example("no images", {0, 3, 3, 2}, {2, 2, 2, 3}, {0, 6, 6, 3}, {.stride = 2},
                          0)}});
}

TEST_CASE("conv_transpose2d: shapes, values and gradients equal PyTorch's") {
  const TensorMap tensors = golden("conv_transpose2d").tensors;
  const auto cases = tensors.at("cases").to_vector<int64_t>();
  for (size_t k = 0; k < cases.size() / 8; ++k) {
    const auto at = [&](const char* what) { return tensors.at(join(k, ".", what)); };
    const int64_t* c = cases.data() + 8 * k;
    const Conv2dSpec spec{.stride = int(c[1]), .padding = int(c[2]), .dilation = int(c[3])};
    const bool has_bias = c[7] != 0;
    for (DType dtype : {DType::kF64, DType::kF32}) {
      INFO("case ", k, " in ", to_string(dtype));
      const auto variable = [&](const char* what) { return Variable(at(what).cast(dtype), true); };
      const Variable x = variable("x"), w = variable("w"), bias = variable("bias");
      const Variable y = conv_transpose2d(x, w, has_bias ? bias : Variable(), spec, int(c[4]));
      REQUIRE(y.shape() == at("y").shape());
      std::vector<double> dy(size_t(y.value().size()));
      for (size_t i = 0; i < dy.size(); ++i) dy[i] = std::cos(double(i));
      backward(y, Tensor::from(dy, y.shape()).cast(dtype));
      const auto compare = [&](const Tensor& ours, const char* what) {
        const auto a = ours.cast(DType::kF64).to_vector<double>();
        const auto b = at(what).to_vector<double>();
        REQUIRE(a.size() == b.size());
        const double tolerance = dtype == DType::kF64 ? 1e-12 : 1e-5;
        for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == close_to(b[i], tolerance, 1));
      };
      compare(y.value(), "y");
      compare(x.grad(), "dx");
      compare(w.grad(), "dw");
      if (has_bias) compare(bias.grad(), "dbias");
    }
  }
}

TEST_CASE("conv_transpose2d: the same bytes for any number of threads") {
  const auto op = [](const std::vector<Variable>& v) {
    return conv_transpose2d(v[0], v[1], v[2], {.stride = 2});
  };
  check_same_bytes(op, {random_tensor({2, 19, 23, 64}, 11), random_tensor({64, 2, 2, 64}, 12),
                        random_tensor({64}, 13)});
  check_same_bytes(op, {random_tensor({1, 25, 31, 32}, 14), random_tensor({32, 2, 2, 5}, 15),
                        random_tensor({5}, 16)});
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
