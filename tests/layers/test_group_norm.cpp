#include "layers/group_norm.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Values = std::vector<double>;

// The definition over a list of indices per image and group.
Values plain_group_norm(const std::vector<Tensor>& v, size_t groups) {
  const Values x = v[0].to_vector<double>();
  const Values gamma = v[1].to_vector<double>(), beta = v[2].to_vector<double>();
  const size_t channels = gamma.size(), images = size_t(v[0].dim(0));
  Values y(x.size());
  for (size_t image = 0; image < images; ++image) {
    for (size_t group = 0; group < groups; ++group) {
      std::vector<size_t> members;
      for (size_t i = 0; i < x.size(); ++i)
        if (i / (x.size() / images) == image && i % channels / (channels / groups) == group)
          members.push_back(i);
      long double mean = 0, var = 0;
      for (size_t i : members) mean += x[i] / static_cast<long double>(members.size());
      for (size_t i : members)
        var += (x[i] - mean) * (x[i] - mean) / static_cast<long double>(members.size());
      for (size_t i : members)
        y[i] = double((x[i] - mean) / std::sqrt(var + 1e-5L)) * gamma[i % channels] +
               beta[i % channels];
    }
  }
  return y;
}

std::vector<Tensor> inputs_of(const Shape& shape, uint64_t seed) {
  const Shape per_channel{shape[shape.rank() - 1]};
  return {distinct_tensor(shape, seed, 0.05), random_tensor(per_channel, seed + 1, -1, 2),
          random_tensor(per_channel, seed + 2, -1, 2)};
}

Function group_norm_of(int groups) {
  return [groups](const std::vector<Variable>& v) { return group_norm(v[0], groups, v[1], v[2]); };
}

}  // namespace

TEST_CASE("op group_norm") {
  OpCase op_case{.op = "group_norm", .examples = {}};
  const auto add = [&](const Shape& shape, int groups) {
    op_case.examples.push_back(
        {join(shape, " in ", groups, " groups"), inputs_of(shape, 950), group_norm_of(groups),
         [groups](const std::vector<Tensor>& v) { return plain_group_norm(v, size_t(groups)); },
         shape});
  };
  add({2, 3, 5, 6}, 3);
  add({2, 3, 5, 6}, 1);
  add({1, 3, 3, 4}, 4);
  add({3, 1, 1, 12}, 4);
  add({2, 1, 1, 3}, 3);      // one value per group: y = beta
  add({1, 9, 15, 2}, 1);     // rows over several pieces
  add({1, 1, 2, 516}, 172);  // channels over two tiles, a group across their border
  add({0, 3, 3, 4}, 2);
  add({2, 0, 3, 4}, 2);
  add({3, 8}, 2);
  run(op_case);
}

TEST_CASE("group_norm: values and gradients as in PyTorch") {
  const TensorMap tensors = golden("norms").tensors;
  struct Case {
    std::string name;
    int groups;
    double eps;
  };
  for (const Case& c : {Case{"group", 4, 1e-5}, Case{"group_one", 1, 1e-3},
                        Case{"group_each", 6, 1e-5}, Case{"group_1x1", 32, 1e-5}}) {
    for (Device device : available_devices()) {
      for (DType dtype : {DType::kF64, DType::kF32}) {
        INFO(c.name, " in ", to_string(dtype), " on ", to_string(device));
        const auto variable = [&](const std::string& key) {
          return Variable(tensors.at(c.name + "." + key).cast(dtype).to(device), true);
        };
        const Variable x = variable("x0"), gamma = variable("gamma"), beta = variable("beta");
        const Variable y = group_norm(x, c.groups, gamma, beta, c.eps);
        backward(y, variable("dy0").value());
        const auto worst = [&](const Tensor& got, const std::string& key) {
          const Values a = got.to(kCpu).cast(DType::kF64).to_vector<double>();
          const Values b = tensors.at(c.name + "." + key).to_vector<double>();
          REQUIRE(a.size() == b.size());
          double error = 0;
          for (size_t i = 0; i < a.size(); ++i)
            error = std::max(error, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
          return error;
        };
        const double tolerance = dtype == DType::kF64 ? 1e-11 : 2e-5;
        CHECK(worst(y.value(), "y0") <= tolerance);
        CHECK(worst(gamma.grad(), "dgamma0") <= tolerance);
        CHECK(worst(beta.grad(), "dbeta0") <= tolerance);
        // Of two values in a group the gradient is a small difference of large terms.
        CHECK(worst(x.grad(), "dx0") <= (c.name == "group_1x1" ? 100 : 1) * tolerance);
      }
    }
  }
}

TEST_CASE("group_norm: the same bytes for 1 and 2 threads") {
  check_same_bytes(group_norm_of(4), inputs_of({3, 37, 41, 12}, 960));
}

TEST_CASE("group_norm: images do not touch each other") {
  const Tensor x = random_tensor({2, 4, 5, 6}, 970);
  const Tensor gamma = random_tensor({6}, 971), beta = random_tensor({6}, 972);
  const Tensor both = group_norm(x, 2, gamma, beta).value();
  for (int64_t image : {0, 1})
    CHECK(group_norm(x.rows(image, image + 1), 2, gamma, beta).value().to_vector<double>() ==
          both.rows(image, image + 1).to_vector<double>());
}

TEST_CASE("group_norm: what does not fit is an error") {
  const Tensor x = Tensor::zeros({2, 3, 3, 6}), six = Tensor::full({6}, 1);
  CHECK_THROWS_WITH_AS(group_norm(x, 4, six, six), doctest::Contains("4 groups of 6 channels"),
                       Error);
  CHECK_THROWS_AS(group_norm(x, 0, six, six), Error);
  CHECK_THROWS_AS(group_norm(x, -2, six, six), Error);
  CHECK_THROWS_AS(group_norm(x, 2, Tensor::full({5}, 1), six), Error);
  CHECK_THROWS_AS(group_norm(x, 2, six, Tensor::full({6}, 1, DType::kF64)), Error);
  CHECK_THROWS_AS(group_norm(six, 2, six, six), Error);
}
