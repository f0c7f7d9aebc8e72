#include "layers/reduce.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/broadcast.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// The elements of each column along `axis`, columns in the order of the result.
std::vector<std::vector<double>> columns_of(const Tensor& x, int axis) {
  const std::vector<double> values = x.to_vector<double>();
  int64_t inner = 1;
  for (int i = x.rank() - 1; i > axis; --i) inner *= x.dim(i);
  int64_t count = 1;
  for (int i = 0; i < x.rank(); ++i)
    if (i != axis) count *= x.dim(i);
  std::vector<std::vector<double>> columns(static_cast<size_t>(count));
  for (size_t k = 0; k < values.size(); ++k) {
    const int64_t outer = int64_t(k) / inner / x.dim(axis);
    columns[size_t(outer * inner + int64_t(k) % inner)].push_back(values[k]);
  }
  return columns;
}

double total(const std::vector<double>& values) {
  long double sum = 0;
  for (double value : values) sum += value;
  return double(sum);
}

struct AxisOf {
  Shape shape;
  int axis;
};

const std::vector<AxisOf> kAxes{{{3, 5}, 0},      {{3, 5}, 1},       {{7}, 0},      {{2, 3, 5}, 1},
                                {{1, 17, 1}, 1},  {{2, 3, 1, 7}, 2}, {{300, 3}, 0}, {{2, 700}, 1},
                                {{2, 260, 2}, 1}, {{0, 3}, 1},       {{3, 0, 2}, 2}};

template <class Reduce>
void run_axes(const char* name, Variable (*op)(const Variable&, int, bool), const Reduce& reduce,
              bool with_empty_axis) {
  OpCase op_case{.op = name, .examples = {}};
  std::vector<AxisOf> axes = kAxes;
  if (with_empty_axis) axes.push_back({{3, 0, 2}, 1});
  uint64_t seed = 300;
  for (const auto& [shape, axis] : axes) {
    const auto oracle = [reduce, axis = axis](const std::vector<Tensor>& v) {
      std::vector<double> y;
      for (const auto& column : columns_of(v[0], axis)) y.push_back(reduce(column));
      return y;
    };
    std::vector<int64_t> extents = shape.to_vector();
    extents[size_t(axis)] = 1;
    const Shape kept(extents);
    extents.erase(extents.begin() + axis);
    const Shape dropped(extents);
    for (bool keep : {false, true}) {
      const int named = keep ? axis : axis - shape.rank();  // from the front and from the back
      op_case.examples.push_back(
          {join(shape, " axis ", named),
           {distinct_tensor(shape, ++seed, 0.001)},
           [op, named, keep](const std::vector<Variable>& v) { return op(v[0], named, keep); },
           oracle,
           keep ? kept : dropped});
    }
  }
  run(op_case);
}

const std::vector<Shape> kWhole{{}, {1}, {17}, {3, 5, 7}, {4096 + 4097}, {0}, {3, 0}};

void run_whole(const char* name, Variable (*op)(const Variable&), bool is_mean) {
  OpCase op_case{.op = name, .examples = {}};
  uint64_t seed = 400;
  for (const Shape& shape : kWhole) {
    if (is_mean && shape.size() == 0) continue;  // 0/0, tested below
    op_case.examples.push_back({join(shape),
                                {random_tensor(shape, ++seed)},
                                [op](const std::vector<Variable>& v) { return op(v[0]); },
                                [is_mean](const std::vector<Tensor>& v) {
                                  const std::vector<double> values = v[0].to_vector<double>();
                                  return std::vector<double>{
                                      total(values) / (is_mean ? double(values.size()) : 1.0)};
                                },
                                Shape{}});
  }
  run(op_case);
}

}  // namespace

TEST_CASE("op sum") { run_whole("sum", sum, false); }
TEST_CASE("op mean") { run_whole("mean", mean, true); }
TEST_CASE("op sum of an axis") { run_axes("sum of an axis", sum, total, true); }
TEST_CASE("op mean of an axis") {
  run_axes(
      "mean of an axis", mean,
      [](const std::vector<double>& v) { return total(v) / double(v.size()); }, false);
}
TEST_CASE("op max of an axis") {
  const auto largest = [](const std::vector<double>& v) {
    return *std::max_element(v.begin(), v.end());
  };
  run_axes("max of an axis", max, largest, false);
}

TEST_CASE("reduce: an axis is dropped or kept") {
  const Variable x(Tensor::zeros({2, 3, 5}));
  CHECK(sum(x, 1).shape() == Shape{2, 5});
  CHECK(sum(x, 1, true).shape() == Shape{2, 1, 5});
  CHECK(mean(x, -1).shape() == Shape{2, 3});
  CHECK(max(x, 0).shape() == Shape{3, 5});
  CHECK(sum(x).shape() == Shape{});
  CHECK_THROWS_WITH_AS(sum(x, 3), doctest::Contains("axis 3 of shape (2, 3, 5)"), Error);
  CHECK_THROWS_AS(max(Variable(Tensor::zeros({3, 0})), 1), Error);
  CHECK(std::isnan(mean(Variable(Tensor::zeros({0}))).value().item<float>()));
}

TEST_CASE("reduce: the gradient of max goes to the first of equal maxima; NaN is the maximum") {
  const Variable x(Tensor::from<double>({1, 4, 4, 2, 2, 2}, {2, 3}), true);
  backward(max(x, 1), Tensor::from<double>({5, 7}));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{0, 5, 0, 7, 0, 0});
  const Tensor with_nan = Tensor::from<double>({1, std::nan(""), 3, std::nan("")});
  CHECK(std::isnan(max(Variable(with_nan), 0).value().item<double>()));
}

TEST_CASE("reduce: sums have the same bytes for 1, 2 and 3 threads") {
  const int before = threads();
  const Variable x(random_tensor({3, 1000, 70}, 500).cast(DType::kF32));
  std::vector<std::vector<float>> results;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    std::vector<float> all = sum(x).value().to_vector<float>();
    for (int axis : {0, 1, 2}) {
      const std::vector<float> part = sum(x, axis).value().to_vector<float>();
      all.insert(all.end(), part.begin(), part.end());
    }
    results.push_back(all);
  }
  set_threads(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("broadcast: sum_to undoes broadcast_to") {
  const Tensor x = random_tensor({2, 1, 3, 1}, 501);
  const Tensor y = broadcast_to(x, {5, 2, 7, 3, 2});
  const Tensor back = sum_to(y, x.shape());
  for (int64_t k = 0; k < x.size(); ++k)
    CHECK(back.to_vector<double>()[size_t(k)] ==
          close_to(70 * x.to_vector<double>()[size_t(k)], 1e-12));
  CHECK_THROWS_AS(broadcast_to(x, {2, 3}), Error);
  CHECK_THROWS_AS(sum_to(x, {2, 5, 3, 1}), Error);
}
