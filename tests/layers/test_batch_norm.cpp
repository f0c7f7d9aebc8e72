#include "layers/batch_norm.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Values = std::vector<double>;

Variable train(const std::vector<Variable>& v) {
  Tensor mean = Tensor::zeros_like(v[1].value()), var = Tensor::zeros_like(v[1].value());
  return batch_norm(v[0], v[1], v[2], mean, var, true);
}

Variable infer(const std::vector<Variable>& v) {
  Tensor mean = v[3].value(), var = v[4].value();
  return batch_norm(v[0], v[1], v[2], mean, var, false);
}

// Channel by channel: the column's values, their mean and mean square, and the definition.
Values plain_training(const std::vector<Tensor>& v) {
  Values y = v[0].to_vector<double>();
  const Values gamma = v[1].to_vector<double>(), beta = v[2].to_vector<double>();
  const size_t channels = gamma.size(), rows = y.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    long double sum = 0, squares = 0;
    for (size_t row = 0; row < rows; ++row) {
      sum += y[row * channels + c];
      squares += static_cast<long double>(y[row * channels + c]) * y[row * channels + c];
    }
    const long double mean = sum / static_cast<long double>(rows);
    const long double var = squares / static_cast<long double>(rows) - mean * mean;
    for (size_t row = 0; row < rows; ++row) {
      double& value = y[row * channels + c];
      value = double((value - mean) / std::sqrt(var + 1e-5L)) * gamma[c] + beta[c];
    }
  }
  return y;
}

Values plain_inference(const std::vector<Tensor>& v) {
  Values y = v[0].to_vector<double>();
  std::vector<Values> p;
  for (size_t k = 1; k < 5; ++k) p.push_back(v[k].to_vector<double>());
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % p[0].size();
    y[i] = (y[i] - p[2][c]) / std::sqrt(p[3][c] + 1e-5) * p[0][c] + p[1][c];
  }
  return y;
}

Values plain_affine(const std::vector<Tensor>& v) {
  Values y = v[0].to_vector<double>();
  const Values scale = v[1].to_vector<double>(), shift = v[2].to_vector<double>();
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = y[i] * scale[i % scale.size()] + shift[i % scale.size()];
  return y;
}

// Odd extents, 1x1 maps, rows over several pieces, nothing, no map at all.
const std::vector<Shape> kShapes{{2, 3, 5, 7}, {3, 1, 1, 4}, {1, 9, 15, 1},
                                 {0, 4, 4, 3}, {2, 0, 3, 5}, {7, 3}};

std::vector<Tensor> inputs_of(const Shape& shape, uint64_t seed, size_t count) {
  const Shape per_channel{shape[shape.rank() - 1]};
  std::vector<Tensor> inputs{distinct_tensor(shape, seed, 0.05)};
  for (size_t k = 1; k < count; ++k)
    inputs.push_back(random_tensor(per_channel, seed + k, k == 4 ? 0.3 : -1, 2));
  return inputs;
}

}  // namespace

TEST_CASE("op batch_norm, training") {
  OpCase op_case{.op = "batch_norm, training", .examples = {}};
  for (const Shape& shape : kShapes)
    op_case.examples.push_back(
        {join(shape), inputs_of(shape, 900, 3), train, plain_training, shape});
  run(op_case);
}

TEST_CASE("op batch_norm, inference") {
  OpCase op_case{.op = "batch_norm, inference",
                 .examples = {},
                 .differentiable = {true, true, true, false, false}};
  for (const Shape& shape : kShapes)
    op_case.examples.push_back(
        {join(shape), inputs_of(shape, 910, 5), infer, plain_inference, shape});
  op_case.examples.push_back(
      {"one value", inputs_of({1, 1, 1, 2}, 919, 5), infer, plain_inference, Shape{1, 1, 1, 2}});
  run(op_case);
}

TEST_CASE("op scale_channels") {
  OpCase op_case{.op = "scale_channels", .examples = {}};
  const auto op = [](const std::vector<Variable>& v) { return scale_channels(v[0], v[1], v[2]); };
  for (const Shape& shape : kShapes)
    op_case.examples.push_back({join(shape), inputs_of(shape, 920, 3), op, plain_affine, shape});
  op_case.examples.push_back({"channels over two tiles", inputs_of({1, 1, 2, 520}, 928, 3), op,
                              plain_affine, Shape{1, 1, 2, 520}});
  op_case.examples.push_back(
      {"no channel", inputs_of({2, 3, 3, 0}, 929, 3), op, plain_affine, Shape{2, 3, 3, 0}});
  run(op_case);
}

namespace {

void check_near(const Tensor& got, const Tensor& expected, double tolerance) {
  REQUIRE(got.shape() == expected.shape());
  const Values a = got.to(kCpu).cast(DType::kF64).to_vector<double>();
  const Values b = expected.to_vector<double>();
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
  CHECK(worst <= tolerance);
}

// Three steps of training and one of inference, as PyTorch made them.
void replay(const TensorMap& golden, const std::string& name, double momentum, double eps,
            DType dtype, Device device, double tolerance) {
  INFO(name, " in ", to_string(dtype), " on ", to_string(device));
  const auto at = [&](const std::string& key) { return golden.at(name + "." + key); };
  const auto as = [&](const std::string& key) { return at(key).cast(dtype).to(device).clone(); };
  Variable gamma(as("gamma"), true), beta(as("beta"), true);
  Tensor mean = Tensor::zeros(gamma.shape(), dtype, device);
  Tensor var = Tensor::full(gamma.shape(), 1, dtype, device);
  for (int step = 0; step < 4; ++step) {
    const std::string k = std::to_string(step);
    INFO("step ", step);
    const bool training = step < 3;
    const Variable x(as("x" + k), true);
    const Variable y = batch_norm(x, gamma, beta, mean, var, training, momentum, eps);
    backward(y, as("dy" + k));
    check_near(y.value(), at("y" + k), tolerance);
    check_near(x.grad(), at("dx" + k), tolerance);
    check_near(gamma.grad(), at("dgamma" + k), 4 * tolerance);  // sums of 198 terms
    check_near(beta.grad(), at("dbeta" + k), 4 * tolerance);
    check_near(mean, at("running_mean" + std::to_string(std::min(step, 2))), tolerance);
    check_near(var, at("running_var" + std::to_string(std::min(step, 2))), tolerance);
    gamma.clear_grad();
    beta.clear_grad();
  }
}

}  // namespace

TEST_CASE("batch_norm: steps of training and inference as in PyTorch") {
  const TensorMap tensors = golden("norms").tensors;
  for (Device device : available_devices()) {
    replay(tensors, "batch", 0.1, 1e-5, DType::kF64, device, 1e-12);
    replay(tensors, "batch_slow", 0.03, 1e-2, DType::kF64, device, 1e-12);
    replay(tensors, "batch", 0.1, 1e-5, DType::kF32, device, 5e-6);
    replay(tensors, "batch_slow", 0.03, 1e-2, DType::kF32, device, 5e-6);
  }
}

TEST_CASE("batch_norm: frozen scale and shift as torchvision's FrozenBatchNorm2d") {
  const TensorMap tensors = golden("norms").tensors;
  const auto at = [&](const std::string& key) { return tensors.at("frozen." + key); };
  for (Device device : available_devices()) {
    const auto [scale, shift] =
        frozen_scale_shift(at("gamma").to(device), at("beta").to(device), at("mean").to(device),
                           at("var").to(device), 2e-3);
    check_near(scale_channels(at("x").to(device), scale, shift).value(), at("y"), 1e-12);
  }
}

TEST_CASE("batch_norm: a mean far from 0 leaves the f32 variance right") {
  Values values;
  for (int i = 0; i < 3000; ++i) values.push_back(1000 + (i % 2 == 0 ? 0.5 : -0.5));
  const Tensor x = Tensor::from(values, {1, 30, 100, 1}).cast(DType::kF32);
  Tensor mean = Tensor::zeros({1}), var = Tensor::zeros({1});
  batch_norm(x, Tensor::full({1}, 1), Tensor::zeros({1}), mean, var, true, 1.0);
  CHECK(mean.item<float>() == close_to(1000, 1e-6));
  CHECK(var.item<float>() == close_to(0.25 * 3000 / 2999, 1e-5));
}

TEST_CASE("batch_norm: the same bytes for 1 and 2 threads") {
  const std::vector<Tensor> inputs = inputs_of({2, 37, 41, 19}, 930, 5);
  check_same_bytes([](const std::vector<Variable>& v) { return train(v); }, inputs);
  check_same_bytes([](const std::vector<Variable>& v) { return infer(v); }, inputs);
  for (bool wants_mean : {true, false})  // the running statistics
    check_same_bytes(
        [&](const std::vector<Variable>& v) {
          Tensor mean = v[3].value().clone(), var = v[4].value().clone();
          batch_norm(v[0], v[1], v[2], mean, var, true);
          return Variable(wants_mean ? mean : var);
        },
        inputs);
}

TEST_CASE("batch_norm: running statistics change in training only, and not by an empty batch") {
  const Tensor one = Tensor::full({3}, 1), zero = Tensor::zeros({3});
  Tensor mean = Tensor::full({3}, 7), var = Tensor::full({3}, 9);
  batch_norm(Tensor::zeros({0, 2, 2, 3}), one, zero, mean, var, true);
  batch_norm(Tensor::zeros({1, 2, 2, 3}), one, zero, mean, var, false);
  CHECK(mean.to_vector<float>() == std::vector<float>{7, 7, 7});
  CHECK(var.to_vector<float>() == std::vector<float>{9, 9, 9});
  batch_norm(Tensor::full({1, 2, 2, 3}, 2), one, zero, mean, var, true, 0.5);
  CHECK(mean.to_vector<float>() == std::vector<float>{4.5, 4.5, 4.5});
  CHECK(var.to_vector<float>() == std::vector<float>{4.5, 4.5, 4.5});
}

TEST_CASE("batch_norm: only what is wanted is differentiated") {
  Tensor mean = Tensor::zeros({3}), var = Tensor::full({3}, 1);
  for (bool training : {true, false}) {
    const Variable x(random_tensor({2, 2, 2, 3}, 940), false);
    const Variable gamma(Tensor::full({3}, 1, DType::kF64), true),
        beta(Tensor::zeros({3}, DType::kF64));
    Tensor mean64 = mean.cast(DType::kF64), var64 = var.cast(DType::kF64);
    backward(batch_norm(x, gamma, beta, mean64, var64, training),
             Tensor::full(x.shape(), 1, DType::kF64));
    CHECK(gamma.grad().defined());
    CHECK(!x.grad().defined());
    CHECK(!beta.grad().defined());
  }
}

TEST_CASE("batch_norm: what does not fit is an error") {
  const Tensor x = Tensor::zeros({2, 2, 2, 3}), three = Tensor::full({3}, 1);
  const Tensor four = Tensor::full({4}, 1), wide = Tensor::full({3}, 1, DType::kF64);
  Tensor mean = Tensor::zeros({3}), var = Tensor::full({3}, 1), wrong = Tensor::zeros({4});
  for (bool training : {true, false}) {
    CHECK_THROWS_AS(batch_norm(x, four, three, mean, var, training), Error);
    CHECK_THROWS_AS(batch_norm(x, three, four, mean, var, training), Error);
    CHECK_THROWS_AS(batch_norm(x, three, three, wrong, var, training), Error);
    CHECK_THROWS_AS(batch_norm(x, three, three, mean, wrong, training), Error);
    CHECK_THROWS_AS(batch_norm(x, wide, three, mean, var, training), Error);
    CHECK_THROWS_AS(batch_norm(three, three, three, mean, var, training), Error);
  }
  CHECK_THROWS_WITH_AS(batch_norm(Tensor::zeros({1, 1, 1, 3}), three, three, mean, var, true),
                       doctest::Contains("one value per channel"), Error);
  CHECK_THROWS_AS(scale_channels(x, four, four), Error);
  CHECK_THROWS_AS(scale_channels(x, three, four), Error);
  CHECK_THROWS_AS(frozen_scale_shift(three, three, four, three, 0), Error);
  CHECK_THROWS_AS(frozen_scale_shift(x, x, x, x, 0), Error);
}
