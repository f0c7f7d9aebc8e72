#include "layers/softmax.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

void run_rows(const char* name, Variable (*op)(const Variable&), bool is_log) {
  OpCase op_case{.op = name, .examples = {}};
  uint64_t seed = 800;
  for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{17}, Shape{2, 3, 1}, Shape{2, 3, 7},
                             Shape{3, 150}, Shape{0, 5}, Shape{3, 0}}) {
    const auto oracle = [=](const std::vector<Tensor>& v) {
      std::vector<double> y = v[0].to_vector<double>();
      const auto classes = size_t(shape[shape.rank() - 1]);
      for (size_t begin = 0; begin < y.size(); begin += classes) {
        long double sum = 0;
        for (size_t c = 0; c < classes; ++c)
          sum += std::exp(static_cast<long double>(y[begin + c]));
        for (size_t c = 0; c < classes; ++c)
          y[begin + c] = is_log ? y[begin + c] - double(std::log(sum))
                                : double(std::exp(static_cast<long double>(y[begin + c])) / sum);
      }
      return y;
    };
    op_case.examples.push_back({join(shape),
                                {random_tensor(shape, ++seed, -4, 4)},
                                [op](const std::vector<Variable>& v) { return op(v[0]); },
                                oracle,
                                shape});
  }
  run(op_case);
}

}  // namespace

TEST_CASE("op softmax") { run_rows("softmax", softmax, false); }
TEST_CASE("op log_softmax") { run_rows("log_softmax", log_softmax, true); }

TEST_CASE("softmax: large logits neither overflow nor vanish") {
  const Variable x(Tensor::from<float>({1000, 990, -1000}));
  const std::vector<float> p = softmax(x).value().to_vector<float>();
  CHECK(p[0] == close_to(1 / (1 + std::exp(-10.0)), 1e-6));
  CHECK(p[2] == 0);
  const std::vector<float> log_p = log_softmax(x).value().to_vector<float>();
  CHECK(log_p[1] == close_to(-10 - std::log1p(std::exp(-10.0)), 1e-6));
  CHECK(log_p[2] == close_to(-2000, 1e-6));
  CHECK_THROWS_AS(softmax(Variable(Tensor::zeros({}))), Error);
}

TEST_CASE("softmax: the same bytes for any number of threads") {
  for (const Shape& shape : {Shape{2000, 81}, Shape{3, 50000}}) {
    const std::vector<Tensor> x{random_tensor(shape, 820, -9, 9)};
    check_same_bytes([](const std::vector<Variable>& v) { return softmax(v[0]); }, x);
    check_same_bytes([](const std::vector<Variable>& v) { return log_softmax(v[0]); }, x);
  }
}
