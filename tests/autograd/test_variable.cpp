#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "autograd/variable.h"

using namespace bbam;

namespace {

// y = a * b on the host, enough to test the sweep by itself.
Variable multiply(const Variable& a, const Variable& b) {
  const auto product = [](const Tensor& x, const Tensor& y) {
    std::vector<double> z = x.to_vector<double>();
    const std::vector<double> w = y.to_vector<double>();
    for (size_t i = 0; i < z.size(); ++i) z[i] *= w[i];
    return Tensor::from(z, x.shape());
  };
  return record("multiply", product(a.value(), b.value()), {a, b},
                [=](const Tensor& dy, Gradients& dx) {
                  if (dx.needs(0)) dx.give(0, product(dy, b.value()));
                  if (dx.needs(1)) dx.give(1, product(dy, a.value()));
                });
}

Tensor two(double a, double b) { return Tensor::from<double>({a, b}); }

}  // namespace

TEST_CASE("autograd: gradients of a value used several times are summed") {
  Variable x(two(3, 4), true);
  const Variable cube = multiply(multiply(x, x), x);
  backward(cube, two(1, 1));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{27, 48});
  const Variable square = multiply(x, x);
  backward(square, two(1, 1));  // leaves accumulate
  CHECK(x.grad().to_vector<double>() == std::vector<double>{33, 56});
}

TEST_CASE("autograd: constants and NoGrad record nothing") {
  Variable x(two(3, 4), true);
  const Variable c(two(1, 1));
  CHECK_FALSE(multiply(c, c).needs_grad());
  const NoGrad frozen;
  CHECK_FALSE(multiply(x, x).needs_grad());
}

TEST_CASE("autograd: wrong use is refused") {
  Variable x(two(3, 4), true);
  const Variable y = multiply(x, x);
  CHECK_THROWS_AS(backward(y), Error);  // two elements, no seed
  backward(y, two(1, 1));
  CHECK_THROWS_WITH_AS(backward(y, two(1, 1)), doctest::Contains("a second time"), Error);
  CHECK_THROWS_AS(backward(Variable(two(1, 1)), two(1, 1)), Error);
}

TEST_CASE("autograd: a chain of 100,000 ops neither sweeps nor frees recursively") {
  Variable x(two(1, 1), true);
  const Variable one(two(1, 1));
  Variable y = x;
  for (int i = 0; i < 100000; ++i) y = multiply(y, one);
  SUBCASE("swept") {
    backward(y, two(1, 2));
    CHECK(x.grad().to_vector<double>() == std::vector<double>{1, 2});
  }
  SUBCASE("dropped") { y = Variable(); }
}

TEST_CASE("gradcheck: finds a wrong gradient and says where") {
  const auto wrong = [](const std::vector<Variable>& v) {
    return record("wrong", multiply(v[0], v[0]).value(), {v[0]},
                  [](const Tensor& dy, Gradients& dx) { dx.give(0, dy.clone()); });
  };
  const auto right = [](const std::vector<Variable>& v) { return multiply(v[0], v[0]); };
  CHECK(gradcheck(right, {two(3, 4)}).worst < 1e-8);
  const GradcheckResult result = gradcheck(wrong, {two(3, 4)});
  CHECK(result.worst > 0.5);
  CHECK(result.where.find("input 0 element") != std::string::npos);
}
