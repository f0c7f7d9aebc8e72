#include <doctest/doctest.h>

#include <cmath>

#include "layers/module.h"
#include "tests/close.h"

using namespace bbam;

namespace {

struct Pair : Module {
  Conv2d conv;
  Linear fc;
  explicit Pair(uint64_t seed) {
    Initializer init(seed);
    conv = Conv2d(init.he_normal({4, 3, 3, 2}), true, {.padding = 1});
    fc = Linear(init.lecun_uniform({5, 4}));
  }
  void visit(const std::string& prefix, const ParameterVisitor& f) override {
    conv.visit(prefix + "conv.", f);
    fc.visit(prefix + "fc.", f);
  }
};

}  // namespace

TEST_CASE("module: names, loading and freezing") {
  Pair a(1), b(2);
  CHECK(named_tensors(a).size() == 4);
  CHECK(a.conv.weight.value().to_vector<float>() != b.conv.weight.value().to_vector<float>());
  auto tensors = named_tensors(a);
  tensors.emplace("more", Tensor::zeros({1}));
  CHECK(load_tensors(b, tensors, "a.safetensors") == std::vector<std::string>{"more"});
  CHECK(a.conv.weight.value().to_vector<float>() == b.conv.weight.value().to_vector<float>());
  freeze(a, "conv.");
  CHECK_FALSE(a.conv.weight.needs_grad());
  CHECK(a.fc.weight.needs_grad());
}

TEST_CASE("module: a file that does not fit changes nothing and is named") {
  Pair a(1);
  const auto before = a.conv.weight.value().to_vector<float>();
  auto tensors = named_tensors(a);
  for (auto& [name, tensor] : tensors) tensor = Tensor::full(tensor.shape(), 3);
  tensors["fc.weight"] = Tensor::zeros({5, 5});
  CHECK_THROWS_WITH_AS(load_tensors(a, tensors, "w.safetensors"),
                       "w.safetensors: tensor 'fc.weight' is (5, 5); expected (5, 4)", Error);
  tensors.erase("fc.weight");
  CHECK_THROWS_WITH_AS(load_tensors(a, tensors, "w.safetensors"),
                       "w.safetensors: has no tensor 'fc.weight' (expected (5, 4))", Error);
  CHECK(a.conv.weight.value().to_vector<float>() == before);
}

TEST_CASE("module: starting values have the variance that is named") {
  Initializer init(3);
  const auto moments = [](const Tensor& t) {
    double sum = 0, squares = 0;
    for (const float v : t.to_vector<float>()) sum += v, squares += double(v) * v;
    return std::pair(sum / double(t.size()), squares / double(t.size()));
  };
  const auto [he_mean, he_variance] = moments(init.he_normal({64, 3, 3, 32}));
  CHECK(std::abs(he_mean) < 0.002);
  CHECK(he_variance == test::close_to(2.0 / (64 * 9), 0.05));
  const auto [mean, variance] = moments(init.lecun_uniform({64, 3, 3, 32}));
  CHECK(std::abs(mean) < 0.002);
  CHECK(variance == test::close_to(1.0 / (32 * 9), 0.05));
}
