#include "layers/elementwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Scalar1 = double (*)(double);
using Scalar2 = double (*)(double, double);

// f of every pair, walking the result like an odometer.
std::vector<double> broadcast_loop(const Tensor& a, const Tensor& b, Shape result, Scalar2 f) {
  const std::vector<double> va = a.to_vector<double>(), vb = b.to_vector<double>();
  const auto position = [&](const Shape& shape, const std::vector<int64_t>& digits) {
    int64_t at = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const int64_t digit = digits[size_t(axis + result.rank() - shape.rank())];
      at = at * shape[axis] + (shape[axis] == 1 ? 0 : digit);
    }
    return size_t(at);
  };
  std::vector<double> y;
  std::vector<int64_t> digits(size_t(result.rank()), 0);
  for (int64_t count = result.size(); count > 0; --count) {
    y.push_back(f(va[position(a.shape(), digits)], vb[position(b.shape(), digits)]));
    for (int axis = result.rank() - 1; axis >= 0; --axis) {
      if (++digits[size_t(axis)] < result[axis]) break;
      digits[size_t(axis)] = 0;
    }
  }
  return y;
}

struct Pair {
  const char* what;
  Shape a, b, result;
};

const std::vector<Pair> kPairs{
    {"same shape", {3, 5}, {3, 5}, {3, 5}},
    {"scalars", {}, {}, {}},
    {"one element", {1}, {1, 1}, {1, 1}},
    {"a scalar", {}, {7}, {7}},
    {"bias", {2, 3, 17}, {17}, {2, 3, 17}},
    {"column", {5, 1}, {5, 3}, {5, 3}},
    {"outer product", {5, 1}, {7}, {5, 7}},
    {"mask over channels", {2, 3, 1, 3}, {1, 3, 5, 1}, {2, 3, 5, 3}},
    {"six axes", {2, 1, 3, 1, 2, 1}, {1, 3, 1, 2, 1, 3}, {2, 3, 3, 2, 2, 3}},
    {"middle axes", {3, 2, 2, 5}, {3, 1, 1, 5}, {3, 2, 2, 5}},
    {"empty", {0, 3}, {3}, {0, 3}},
    {"repeated to nothing", {2, 1}, {2, 0}, {2, 0}},
};

using Op2 = Variable (*)(const Variable&, const Variable&);

void run_pairs(const char* name, Op2 op, Scalar2 f, double low_b, bool distinct) {
  OpCase op_case{.op = name, .examples = {}};
  uint64_t seed = 1;
  for (const Pair& pair : kPairs) {
    // Distinct values: those of b lie between those of a.
    Tensor a = random_tensor(pair.a, ++seed, -2, 2), b = random_tensor(pair.b, ++seed, low_b, 2);
    if (distinct) {
      a = distinct_tensor(pair.a, ++seed);
      b = shift(distinct_tensor(pair.b, ++seed), 0.0021).value();
    }
    op_case.examples.push_back({pair.what,
                                {a, b},
                                [op](const std::vector<Variable>& v) { return op(v[0], v[1]); },
                                [result = pair.result, f](const std::vector<Tensor>& v) {
                                  return broadcast_loop(v[0], v[1], result, f);
                                },
                                pair.result});
  }
  run(op_case);
}

using Op1 = std::function<Variable(const Variable&)>;

void run_unary(const char* name, const Op1& op, const std::function<double(double)>& f, double low,
               double high) {
  OpCase op_case{.op = name, .examples = {}};
  uint64_t seed = 100;
  for (const Shape& shape : {Shape{3, 5}, Shape{}, Shape{1}, Shape{17}, Shape{2, 3, 1, 7, 5},
                             Shape{0}, Shape{3, 0, 2}, Shape{1500}}) {
    Tensor x = random_tensor(shape, ++seed, low, high);
    op_case.examples.push_back({join(shape),
                                {x},
                                [op](const std::vector<Variable>& v) { return op(v[0]); },
                                [f](const std::vector<Tensor>& v) {
                                  std::vector<double> y = v[0].to_vector<double>();
                                  for (double& value : y) value = f(value);
                                  return y;
                                },
                                shape});
  }
  run(op_case);
}

// For functions with a kink: values whose distance from each kink is at least 0.01.
void run_kinked(const char* name, const Op1& op, Scalar1 f, const std::vector<double>& kinks) {
  OpCase op_case{.op = name, .examples = {}};
  uint64_t seed = 200;
  for (const Shape& shape : {Shape{3, 5}, Shape{}, Shape{17}, Shape{3, 0, 2}, Shape{501}}) {
    std::vector<double> values = random_tensor(shape, ++seed, -2, 2).to_vector<double>();
    for (double& value : values)
      for (double kink : kinks)
        if (std::abs(value - kink) < 0.01) value += 0.03;
    op_case.examples.push_back({join(shape),
                                {Tensor::from(values, shape)},
                                [op](const std::vector<Variable>& v) { return op(v[0]); },
                                [f](const std::vector<Tensor>& v) {
                                  std::vector<double> y;
                                  for (double value : v[0].to_vector<double>())
                                    y.push_back(f(value));
                                  return y;
                                },
                                shape});
  }
  run(op_case);
}

std::vector<double> gradient_at(const Op1& op, const std::vector<double>& at) {
  const Variable x(Tensor::from(at), true);
  backward(op(x), Tensor::full(x.shape(), 1, DType::kF64));
  return x.grad().to_vector<double>();
}

}  // namespace

TEST_CASE("op add") {
  run_pairs(
      "add", add, [](double a, double b) { return a + b; }, -2, false);
}
TEST_CASE("op sub") {
  run_pairs(
      "sub", sub, [](double a, double b) { return a - b; }, -2, false);
}
TEST_CASE("op mul") {
  run_pairs(
      "mul", mul, [](double a, double b) { return a * b; }, -2, false);
}
TEST_CASE("op div") {
  run_pairs(
      "div", div, [](double a, double b) { return a / b; }, 0.5, false);
}
TEST_CASE("op maximum") {
  run_pairs(
      "maximum", maximum, [](double a, double b) { return std::fmax(a, b); }, 0, true);
}
TEST_CASE("op minimum") {
  run_pairs(
      "minimum", minimum, [](double a, double b) { return std::fmin(a, b); }, 0, true);
}

TEST_CASE("op neg") {
  run_unary(
      "neg", neg, [](double x) { return -x; }, -2, 2);
}
TEST_CASE("op scale") {
  run_unary(
      "scale", [](const Variable& x) { return scale(x, -2.5); }, [](double x) { return -2.5 * x; },
      -2, 2);
}
TEST_CASE("op shift") {
  run_unary(
      "shift", [](const Variable& x) { return shift(x, 0.75); }, [](double x) { return x + 0.75; },
      -2, 2);
}
TEST_CASE("op sigmoid") {
  run_unary(
      "sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -8, 8);
}
TEST_CASE("op exp") {
  run_unary(
      "exp", bbam::exp, [](double x) { return std::exp(x); }, -2, 2);
}
TEST_CASE("op log") {
  run_unary(
      "log", bbam::log, [](double x) { return std::log(x); }, 0.3, 4);
}
TEST_CASE("op sqrt") {
  run_unary(
      "sqrt", bbam::sqrt, [](double x) { return std::sqrt(x); }, 0.2, 4);
}
TEST_CASE("op square") {
  run_unary(
      "square", square, [](double x) { return x * x; }, -2, 2);
}
TEST_CASE("op pow") {
  for (double exponent : {3.0, -1.5, 0.5, 1.0, 0.0})
    run_unary(
        "pow", [exponent](const Variable& x) { return bbam::pow(x, exponent); },
        [exponent](double x) { return std::exp(exponent * std::log(x)); }, 0.4, 2);
}
TEST_CASE("op relu") {
  run_kinked("relu", relu, [](double x) { return x > 0 ? x : 0.0; }, {0});
}
TEST_CASE("op abs") {
  run_kinked(
      "abs", [](const Variable& x) { return bbam::abs(x); },
      [](double x) { return x > 0 ? x : -x; }, {0});
}
TEST_CASE("op clamp") {
  run_kinked(
      "clamp", [](const Variable& x) { return clamp(x, -0.5, 1.25); },
      [](double x) { return std::fmin(1.25, std::fmax(-0.5, x)); }, {-0.5, 1.25});
}

TEST_CASE("elementwise: derivatives at the kinks are as stated") {
  CHECK(gradient_at(relu, {-0.0, 0.0, 1.0}) == std::vector<double>{0, 0, 1});
  CHECK(gradient_at([](const Variable& x) { return bbam::abs(x); }, {-3, 0, 3}) ==
        std::vector<double>{-1, 0, 1});
  CHECK(gradient_at([](const Variable& x) { return clamp(x, -1, 1); }, {-1, 1, 1.5}) ==
        std::vector<double>{1, 1, 0});
  CHECK(gradient_at([](const Variable& x) { return bbam::pow(x, 0); }, {0.0}) ==
        std::vector<double>{0});
  const Variable a(Tensor::from<double>({1, 2, 3}), true), b(Tensor::from<double>({1, 3, 2}), true);
  backward(maximum(a, b), Tensor::full({3}, 1, DType::kF64));
  CHECK(a.grad().to_vector<double>() == std::vector<double>{0.5, 0, 1});
  CHECK(b.grad().to_vector<double>() == std::vector<double>{0.5, 1, 0});
}

TEST_CASE("elementwise: no op hides a NaN, and infinities compare") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = INFINITY;
  const Variable x(Tensor::from<double>({nan}));
  const Variable one(Tensor::from<double>({1}));
  for (const Variable& y : {relu(x), clamp(x, 0, 1), bbam::abs(x), sigmoid(x), maximum(x, one),
                            maximum(one, x), minimum(x, one), minimum(one, x)})
    CHECK(std::isnan(y.value().item<double>()));
  const Variable large(Tensor::from<double>({inf}));
  CHECK(maximum(large, large).value().item<double>() == inf);
  CHECK(minimum(large, large).value().item<double>() == inf);
}

TEST_CASE("elementwise: operands that do not fit are refused") {
  const Variable a(Tensor::zeros({2, 3})), b(Tensor::zeros({2}));
  CHECK_THROWS_WITH_AS(add(a, b), doctest::Contains("shapes (2, 3) and (2)"), Error);
  CHECK_THROWS_WITH_AS(mul(a, Variable(Tensor::zeros({2, 3}, DType::kF64))),
                       doctest::Contains("agree in type"), Error);
  CHECK_THROWS_AS(relu(Variable(Tensor::zeros({2}, DType::kI64))), Error);
  CHECK_THROWS_AS(clamp(a, 1, 0), Error);
}
