#include "layers/shape_ops.h"

#include <doctest/doctest.h>

#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Element `at` (one number per axis) of a row-major tensor.
double element(const Tensor& x, const std::vector<int64_t>& at) {
  int64_t k = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) k = k * x.dim(int(axis)) + at[axis];
  return x.to_vector<double>()[size_t(k)];
}

Example concat_example(const char* what, const std::vector<Tensor>& parts, int axis, Shape result) {
  // Rank 3 throughout: the oracle looks up each element in the part that holds it.
  const auto oracle = [axis](const std::vector<Tensor>& v) {
    int64_t joined = 0;
    for (const Tensor& part : v) joined += part.dim(axis);
    std::vector<int64_t> extent{v[0].dim(0), v[0].dim(1), v[0].dim(2)};
    extent[size_t(axis)] = joined;
    std::vector<double> y;
    for (int64_t i = 0; i < extent[0]; ++i)
      for (int64_t j = 0; j < extent[1]; ++j)
        for (int64_t k = 0; k < extent[2]; ++k) {
          std::vector<int64_t> at{i, j, k};
          size_t part = 0;
          while (at[size_t(axis)] >= v[part].dim(axis)) at[size_t(axis)] -= v[part++].dim(axis);
          y.push_back(element(v[part], at));
        }
    return y;
  };
  return {what, parts, [axis](const std::vector<Variable>& v) { return concat(v, axis); }, oracle,
          result};
}

Example slice_example(const char* what, Shape shape, int axis, int64_t begin, int64_t end,
                      Shape result) {
  const auto oracle = [=](const std::vector<Tensor>& v) {
    std::vector<double> y;
    for (int64_t i = 0; i < shape[0]; ++i)
      for (int64_t j = 0; j < shape[1]; ++j)
        for (int64_t k = 0; k < shape[2]; ++k) {
          const std::vector<int64_t> at{i, j, k};
          if (at[size_t(axis)] >= begin && at[size_t(axis)] < end) y.push_back(element(v[0], at));
        }
    return y;
  };
  return {what,
          {random_tensor(shape, 600)},
          [=](const std::vector<Variable>& v) { return slice(v[0], axis, begin, end); },
          oracle,
          result};
}

Example rows_example(const char* what, Shape shape, const std::vector<int64_t>& indices,
                     Shape result) {
  const Tensor taken = Tensor::from(indices);
  const auto oracle = [=](const std::vector<Tensor>& v) {
    const std::vector<double> x = v[0].to_vector<double>();
    std::vector<double> y;
    for (int64_t row : indices) {
      const int64_t width = shape.size() / std::max<int64_t>(1, shape[0]);
      y.insert(y.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
    }
    return y;
  };
  return {what,
          {random_tensor(shape, 601)},
          [=](const std::vector<Variable>& v) { return gather_rows(v[0], taken); },
          oracle,
          result};
}

Example columns_example(const char* what, Shape shape, const std::vector<int64_t>& columns,
                        Shape result) {
  const Tensor taken = Tensor::from(columns);
  const int64_t width = shape.rank() == 3 ? shape[2] : 1;
  const auto oracle = [=](const std::vector<Tensor>& v) {
    std::vector<double> y;
    for (size_t n = 0; n < columns.size(); ++n)
      for (int64_t k = 0; k < width; ++k)
        y.push_back(
            v[0].to_vector<double>()[size_t((int64_t(n) * shape[1] + columns[n]) * width + k)]);
    return y;
  };
  return {what,
          {random_tensor(shape, 602)},
          [=](const std::vector<Variable>& v) { return gather_columns(v[0], taken); },
          oracle,
          result};
}

Example transpose_example(int64_t rows, int64_t columns) {
  const auto oracle = [=](const std::vector<Tensor>& v) {
    std::vector<double> y;
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t i = 0; i < rows; ++i) y.push_back(element(v[0], {i, j}));
    return y;
  };
  return {join(rows, " x ", columns),
          {random_tensor({rows, columns}, 603)},
          [](const std::vector<Variable>& v) { return transpose(v[0]); },
          oracle,
          Shape{columns, rows}};
}

}  // namespace

TEST_CASE("op reshape") {
  const auto same = [](const std::vector<Tensor>& v) { return v[0].to_vector<double>(); };
  const auto to = [&](Shape from, Shape shape, Shape result) {
    return Example{join(from, " to ", shape),
                   {random_tensor(from, 604)},
                   [shape](const std::vector<Variable>& v) { return reshape(v[0], shape); },
                   same,
                   result};
  };
  run({.op = "reshape",
       .examples = {to({3, 4}, {2, 6}, {2, 6}), to({3, 4}, {-1}, {12}), to({1, 5, 1}, {5}, {5}),
                    to({0, 3}, {3, 0}, {3, 0})}});
  CHECK_THROWS_AS(reshape(Variable(Tensor::zeros({3})), {2}), Error);
}

TEST_CASE("reshape: a gradient that is shared with a view is not added to in place") {
  const Variable x(random_tensor({2, 3}, 605), true);
  const Variable flat = reshape(x, {6});
  const Tensor seed = Tensor::full({6}, 1, DType::kF64);
  backward(flat, seed);
  backward(reshape(x, {6}), seed);
  CHECK(x.grad().to_vector<double>() == std::vector<double>(6, 2.0));
  CHECK(seed.to_vector<double>() == std::vector<double>(6, 1.0));
}

TEST_CASE("op concat") {
  const auto t = [](Shape shape) { return random_tensor(shape, 606 + uint64_t(shape.size())); };
  run({.op = "concat",
       .examples = {
           concat_example("first axis", {t({1, 3, 5}), t({2, 3, 5})}, 0, {3, 3, 5}),
           concat_example("middle axis", {t({2, 1, 3}), t({2, 5, 3}), t({2, 2, 3})}, 1, {2, 8, 3}),
           concat_example("channels", {t({3, 2, 1}), t({3, 2, 7})}, 2, {3, 2, 8}),
           concat_example("one part", {t({3, 1, 7})}, 1, {3, 1, 7}),
           concat_example("an empty part", {t({3, 2, 0}), t({3, 2, 5})}, 2, {3, 2, 5}),
           concat_example("empty", {t({0, 2, 3}), t({0, 2, 5})}, 2, {0, 2, 8})}});
  const Variable a(Tensor::zeros({2, 3})), b(Tensor::zeros({3, 3}));
  CHECK(concat({a, b}, -2).shape() == Shape{5, 3});
  CHECK_THROWS_WITH_AS(concat({a, b}, 1), doctest::Contains("along axis 1"), Error);
  CHECK_THROWS_AS(concat({}, 0), Error);
}

TEST_CASE("op pad_zeros") {
  const auto example = [](const char* what, Shape shape, int axis, int64_t before, int64_t after,
                          Shape result) {
    const auto oracle = [=](const std::vector<Tensor>& v) {
      std::vector<int64_t> extent{shape[0], shape[1], shape[2]};
      extent[size_t(axis)] += before + after;
      std::vector<double> y;
      for (int64_t i = 0; i < extent[0]; ++i)
        for (int64_t j = 0; j < extent[1]; ++j)
          for (int64_t k = 0; k < extent[2]; ++k) {
            std::vector<int64_t> at{i, j, k};
            at[size_t(axis)] -= before;
            const bool is_inside = at[size_t(axis)] >= 0 && at[size_t(axis)] < shape[axis];
            y.push_back(is_inside ? element(v[0], at) : 0.0);
          }
      return y;
    };
    return Example{
        what,
        {random_tensor(shape, 602)},
        [=](const std::vector<Variable>& v) { return pad_zeros(v[0], axis, before, after); },
        oracle,
        result};
  };
  run({.op = "pad_zeros",
       .examples = {example("first axis", {2, 2, 3}, 0, 1, 2, {5, 2, 3}),
                    example("middle", {2, 3, 3}, 1, 0, 4, {2, 7, 3}),
                    example("last", {3, 1, 17}, 2, 5, 0, {3, 1, 22}),
                    example("none", {3, 1, 5}, 2, 0, 0, {3, 1, 5}),
                    example("around nothing", {3, 0, 2}, 1, 1, 2, {3, 3, 2})}});
  CHECK_THROWS_WITH_AS(pad_zeros(Variable(Tensor::zeros({3})), 0, -1, 4), doctest::Contains("-1"),
                       Error);
}

TEST_CASE("op slice") {
  run({.op = "slice",
       .examples = {slice_example("first axis", {5, 2, 3}, 0, 1, 4, {3, 2, 3}),
                    slice_example("middle axis", {2, 7, 3}, 1, 6, 7, {2, 1, 3}),
                    slice_example("last axis", {3, 1, 17}, 2, 0, 5, {3, 1, 5}),
                    slice_example("all", {3, 1, 5}, 2, 0, 5, {3, 1, 5}),
                    slice_example("nothing", {3, 5, 2}, 1, 2, 2, {3, 0, 2}),
                    slice_example("of nothing", {3, 0, 2}, 0, 1, 2, {1, 0, 2})}});
  CHECK_THROWS_WITH_AS(slice(Variable(Tensor::zeros({3})), 0, 2, 4), doctest::Contains("[2, 4)"),
                       Error);
}

TEST_CASE("op gather_rows") {
  run({.op = "gather_rows",
       .examples = {rows_example("some", {5, 3}, {4, 0, 2}, {3, 3}),
                    rows_example("often", {7, 2, 3}, {1, 1, 6, 1, 0, 6}, {6, 2, 3}),
                    rows_example("vector", {17}, {16, 3, 3}, {3}),
                    rows_example("none", {3, 5}, {}, {0, 5}),
                    rows_example("of nothing", {0, 5}, {}, {0, 5}),
                    rows_example("empty rows", {3, 0}, {2, 2}, {2, 0})}});
  const Variable x(Tensor::zeros({3, 2}));
  CHECK_THROWS_WITH_AS(gather_rows(x, Tensor::from<int64_t>({0, 3})),
                       doctest::Contains("number 1 is 3; expected 0 to 2"), Error);
  CHECK_THROWS_AS(gather_rows(x, Tensor::zeros({2})), Error);
}

TEST_CASE("gather_rows: gradients have the same bytes for 1 and 2 threads") {
  const int before = threads();
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < 3000; ++k) indices.push_back(k * k % 41);
  const Tensor dy = random_tensor({3000, 33}, 607).cast(DType::kF32);
  std::vector<std::vector<float>> results;
  for (int count : {1, 2}) {
    set_threads(count);
    const Variable x(Tensor::zeros({41, 33}), true);
    backward(gather_rows(x, Tensor::from(indices)), dy);
    results.push_back(x.grad().to_vector<float>());
  }
  set_threads(before);
  CHECK(results[0] == results[1]);
}

TEST_CASE("op gather_columns") {
  run({.op = "gather_columns",
       .examples = {columns_example("boxes", {5, 3, 4}, {2, 0, 1, 1, 2}, {5, 4}),
                    columns_example("scores", {3, 7}, {6, 0, 3}, {3}),
                    columns_example("one class", {2, 1, 4}, {0, 0}, {2, 4}),
                    columns_example("none", {0, 3, 4}, {}, {0, 4})}});
  const Variable x(Tensor::zeros({2, 3, 4}));
  CHECK_THROWS_AS(gather_columns(x, Tensor::from<int64_t>({0})), Error);
  CHECK_THROWS_AS(gather_columns(x, Tensor::from<int64_t>({0, -1})), Error);
}

TEST_CASE("op transpose") {
  run({.op = "transpose",
       .examples = {transpose_example(3, 5), transpose_example(1, 17), transpose_example(7, 1),
                    transpose_example(0, 3)}});
  CHECK_THROWS_AS(transpose(Variable(Tensor::zeros({2, 2, 2}))), Error);
}
