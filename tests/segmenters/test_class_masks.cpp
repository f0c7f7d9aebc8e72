#include "segmenters/class_masks.h"

#include <doctest/doctest.h>

#include "tests/determinism.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Walks all entries of the input and keeps those of the wanted class.
Example example(const char* what, Shape shape, const std::vector<int64_t>& classes) {
  const Tensor wanted = Tensor::from(classes);
  return {what,
          {random_tensor(shape, 920)},
          [=](const std::vector<Variable>& v) { return class_masks(v[0], wanted); },
          [=](const std::vector<Tensor>& v) {
            const std::vector<double> x = v[0].to_vector<double>();
            std::vector<double> y;
            size_t k = 0;
            for (const int64_t of_row : classes)
              for (int64_t cell = 0; cell < shape[1] * shape[2]; ++cell)
                for (int64_t c = 0; c < shape[3]; ++c, ++k)
                  if (c == of_row) y.push_back(x[k]);
            return y;
          },
          Shape{shape[0], shape[1], shape[2]}};
}

}  // namespace

TEST_CASE("op class_masks") {
  run({.op = "class_masks",
       .examples = {
           example("odd", {3, 2, 5, 4}, {3, 0, 2}), example("one class", {2, 3, 3, 1}, {0, 0}),
           example("the same class again", {4, 1, 1, 3}, {1, 1, 1, 2}),
           example("no rows", {0, 3, 3, 4}, {}), example("no cells", {2, 0, 3, 4}, {1, 3})}});
}

TEST_CASE("class_masks: classes that there are not are refused") {
  const Variable x(Tensor::zeros({2, 3, 3, 4}));
  CHECK_THROWS_WITH_AS(class_masks(x, Tensor::from<int64_t>({0, 4})),
                       doctest::Contains("class 4 of row 1; expected 0 to 3"), Error);
  CHECK_THROWS_AS(class_masks(x, Tensor::from<int64_t>({-1, 0})), Error);
  CHECK_THROWS_AS(class_masks(x, Tensor::from<int64_t>({0})), Error);
  CHECK_THROWS_AS(class_masks(x, Tensor::zeros({2})), Error);
}

TEST_CASE("class_masks: the same bytes for any number of threads") {
  const Tensor classes = Tensor::from<int64_t>({2, 0, 1, 2});
  check_same_bytes([&](const auto& v) { return class_masks(v[0], classes); },
                   {random_tensor({4, 20, 21, 3}, 921)});
}
