#include "layers/matmul.h"

#include <doctest/doctest.h>

#include "tests/determinism.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

double at(const Tensor& x, int64_t row, int64_t column, bool transposed) {
  if (transposed) std::swap(row, column);
  return x.to_vector<double>()[size_t(row * x.dim(1) + column)];
}

Example product(int64_t m, int64_t k, int64_t n, bool transpose_a, bool transpose_b) {
  const Shape a = transpose_a ? Shape{k, m} : Shape{m, k};
  const Shape b = transpose_b ? Shape{n, k} : Shape{k, n};
  const auto oracle = [=](const std::vector<Tensor>& v) {
    std::vector<double> y;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += at(v[0], i, l, transpose_a) * at(v[1], l, j, transpose_b);
        y.push_back(sum);
      }
    return y;
  };
  return {
      join(m, " ", k, " ", n, transpose_a ? " A^T" : "", transpose_b ? " B^T" : ""),
      {random_tensor(a, 701), random_tensor(b, 702)},
      [=](const std::vector<Variable>& v) { return matmul(v[0], v[1], transpose_a, transpose_b); },
      oracle,
      Shape{m, n}};
}

Example dense(int64_t n, int64_t in, int64_t out, bool with_bias) {
  std::vector<Tensor> inputs{random_tensor({n, in}, 703), random_tensor({out, in}, 704)};
  if (with_bias) inputs.push_back(random_tensor({out}, 705));
  const auto oracle = [=](const std::vector<Tensor>& v) {
    std::vector<double> y;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t o = 0; o < out; ++o) {
        y.push_back(with_bias ? v[2].to_vector<double>()[size_t(o)] : 0.0);
        for (int64_t k = 0; k < in; ++k) y.back() += at(v[0], i, k, false) * at(v[1], o, k, false);
      }
    return y;
  };
  return {join(n, " rows, ", in, " to ", out, with_bias ? " with bias" : ""), inputs,
          [=](const std::vector<Variable>& v) {
            return with_bias ? linear(v[0], v[1], v[2]) : linear(v[0], v[1]);
          },
          oracle, Shape{n, out}};
}

}  // namespace

TEST_CASE("op matmul") {
  OpCase op_case{.op = "matmul", .examples = {}};
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      op_case.examples.push_back(product(3, 5, 7, transpose_a, transpose_b));
      op_case.examples.push_back(product(1, 17, 1, transpose_a, transpose_b));
      op_case.examples.push_back(product(0, 3, 2, transpose_a, transpose_b));
      op_case.examples.push_back(product(3, 0, 2, transpose_a, transpose_b));
    }
  }
  run(op_case);
  const Variable a(Tensor::zeros({2, 3})), b(Tensor::zeros({2, 5}));
  CHECK_THROWS_WITH_AS(matmul(a, b), doctest::Contains("(2, 3) and (2, 5)"), Error);
  CHECK_THROWS_AS(matmul(a, Variable(Tensor::zeros({3}))), Error);
}

TEST_CASE("op linear") {
  run({.op = "linear",
       .examples = {dense(5, 3, 7, true), dense(1, 17, 1, true), dense(3, 1, 5, false),
                    dense(0, 5, 3, true), dense(2, 0, 3, true)}});
  const Variable x(Tensor::zeros({2, 3})), w(Tensor::zeros({5, 3}));
  CHECK_THROWS_AS(linear(x, w, Variable(Tensor::zeros({3}))), Error);
  CHECK_THROWS_AS(linear(x, Variable(Tensor::zeros({3, 5}))), Error);
}

TEST_CASE("linear: a frozen weight gets no gradient") {
  const Variable x(random_tensor({2, 3}, 706), true), w(random_tensor({5, 3}, 707));
  const Variable bias(random_tensor({5}, 708));
  backward(linear(x, w, bias), Tensor::full({2, 5}, 1, DType::kF64));
  CHECK(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  CHECK_FALSE(bias.grad().defined());
}

TEST_CASE("matmul: the same bytes for any number of threads, at the sizes of a detector") {
  // A box head's first layer on 100 RoIs, its gradients, and shapes that no tile divides.
  check_same_bytes([](const std::vector<Variable>& v) { return linear(v[0], v[1], v[2]); },
                   {random_tensor({100, 12544}, 710), random_tensor({128, 12544}, 711),
                    random_tensor({128}, 712)});
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      check_same_bytes(
          [=](const std::vector<Variable>& v) {
            return matmul(v[0], v[1], transpose_a, transpose_b);
          },
          {random_tensor(transpose_a ? Shape{517, 401} : Shape{401, 517}, 713),
           random_tensor(transpose_b ? Shape{333, 517} : Shape{517, 333}, 714)});
  check_same_bytes([](const std::vector<Variable>& v) { return matmul(v[0], v[1]); },
                   {random_tensor({1, 20000}, 715), random_tensor({20000, 70}, 716)});
}
