#include "autograd/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "autograd/schedule.h"
#include "tests/close.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(const std::vector<ParameterGroup>&)>;

const MakeOptimizer kSgd = [](const auto& groups) { return std::make_unique<Sgd>(groups, 0.9); };
const MakeOptimizer kPlainSgd = [](const auto& groups) { return std::make_unique<Sgd>(groups, 0); };
const MakeOptimizer kAdam = [](const auto& groups) { return std::make_unique<Adam>(groups); };

// The parameters a and b of make_optim.py, their optimiser and its golden run.
struct Run {
  SafetensorsFile file = golden("optim");
  Variable a, b;
  std::unique_ptr<Optimizer> optimizer;

  Run(const MakeOptimizer& make, DType dtype, Device device) {
    const auto start = [&](const char* name) {
      return Variable(file.tensors.at(name).clone().cast(dtype).to(device), true);
    };
    a = start("start.a");
    b = start("start.b");
    optimizer = make({{.names = {"a"}, .parameters = {a}, .lr_scale = 1, .weight_decay = 0.05},
                      {.names = {"b"}, .parameters = {b}, .lr_scale = 2, .weight_decay = 0}});
  }

  int64_t steps() const { return file.tensors.at("rates").size(); }

  void step(int64_t k) {
    optimizer->clear_gradients();
    const auto gradient = [&](const char* name, const Variable& parameter) {
      return file.tensors.at(name)
          .rows(k, k + 1)
          .reshape(parameter.shape())
          .cast(parameter.dtype())
          .to(parameter.device());
    };
    a.mutable_grad() = gradient("gradient.a", a);
    if (k != 2) b.mutable_grad() = gradient("gradient.b", b);
    optimizer->step(file.tensors.at("rates").to_vector<double>()[size_t(k)]);
  }

  // The largest difference from the golden values after step k.
  double error(const std::string& name, const Variable& parameter, int64_t k) const {
    const std::vector<double> expected =
        file.tensors.at(name).rows(k, k + 1).clone().to_vector<double>();
    const std::vector<double> values =
        parameter.value().to(kCpu).cast(DType::kF64).to_vector<double>();
    double worst = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      worst = std::max(worst, std::abs(values[i] - expected[i]));
    return worst;
  }
};

void check_trajectory(const std::string& name, const MakeOptimizer& make) {
  for (Device device : available_devices()) {
    for (DType dtype : {DType::kF64, DType::kF32}) {
      Run run(make, dtype, device);
      const double tolerance = dtype == DType::kF64 ? 1e-13 : 2e-6;
      for (int64_t k = 0; k < run.steps(); ++k) {
        run.step(k);
        CHECK(run.error(name + ".a", run.a, k) <= tolerance);
        CHECK(run.error(name + ".b", run.b, k) <= tolerance);
      }
    }
  }
}

// Stopped after three steps, saved, and gone on with in a new optimiser: the same bytes.
void check_resume(const MakeOptimizer& make) {
  Run whole(make, DType::kF32, kCpu), first(make, DType::kF32, kCpu),
      second(make, DType::kF32, kCpu);
  for (int64_t k = 0; k < whole.steps(); ++k) whole.step(k);
  for (int64_t k = 0; k < 3; ++k) first.step(k);
  second.a.mutable_value().copy_from(first.a.value());
  second.b.mutable_value().copy_from(first.b.value());
  const auto saved = first.optimizer->state();
  first.step(3);  // what was saved is a copy
  second.optimizer->load_state(saved);
  for (int64_t k = 3; k < whole.steps(); ++k) second.step(k);
  CHECK(whole.a.value().to_vector<float>() == second.a.value().to_vector<float>());
  CHECK(whole.b.value().to_vector<float>() == second.b.value().to_vector<float>());
}

}  // namespace

TEST_CASE("optimizer: SGD with momentum, decay and groups follows torch.optim.SGD") {
  check_trajectory("sgd", kSgd);
}
TEST_CASE("optimizer: SGD without momentum follows torch.optim.SGD") {
  check_trajectory("plain_sgd", kPlainSgd);
}
TEST_CASE("optimizer: Adam with decay and groups follows torch.optim.Adam") {
  check_trajectory("adam", kAdam);
}

TEST_CASE("optimizer: METHOD A3, Adam's defaults, and a first step of the rate itself") {
  const AdamOptions defaults;
  CHECK(defaults.beta1 == 0.9);
  CHECK(defaults.beta2 == 0.999);
  CHECK(defaults.epsilon == 1e-8);
  const Variable mask(Tensor::full({2}, 0.5, DType::kF64), true);
  Adam adam({{.names = {"mask"}, .parameters = {mask}}});
  Variable(mask).mutable_grad() = Tensor::from<double>({3, -0.01});
  adam.step(0.02);
  CHECK(mask.value().to_vector<double>()[0] == close_to(0.48, 1e-6));
  CHECK(mask.value().to_vector<double>()[1] == close_to(0.52, 1e-6));
}

TEST_CASE("optimizer: a resumed run goes on byte for byte") {
  check_resume(kSgd);
  check_resume(kPlainSgd);
  check_resume(kAdam);
}

TEST_CASE("optimizer: the names of the state") {
  const auto names = [](const MakeOptimizer& make) {
    std::vector<std::string> list;
    for (const auto& [name, tensor] : Run(make, DType::kF32, kCpu).optimizer->state())
      list.push_back(name);
    return list;
  };
  CHECK(names(kPlainSgd).empty());
  CHECK(names(kSgd) == std::vector<std::string>{"momentum/a", "momentum/b"});
  CHECK(names(kAdam) == std::vector<std::string>{"first_moment/a", "first_moment/b",
                                                 "second_moment/a", "second_moment/b", "steps/a",
                                                 "steps/b"});
}

TEST_CASE("optimizer: state that does not fit is refused and changes nothing") {
  Run run(kSgd, DType::kF32, kCpu);
  run.step(0);
  const auto before = run.optimizer->state();
  const auto refuses = [&](const std::map<std::string, Tensor>& state, const char* message) {
    CHECK_THROWS_WITH_AS(run.optimizer->load_state(state), doctest::Contains(message), Error);
    for (const auto& [name, tensor] : run.optimizer->state())
      CHECK(tensor.to_vector<float>() == before.at(name).to_vector<float>());
  };
  std::map<std::string, Tensor> state{{"momentum/a", Tensor::zeros({5, 3})}};
  refuses(state, "momentum/b is missing");
  state["momentum/b"] = Tensor::zeros({8});
  refuses(state, "momentum/b is f32(8) on cpu; expected f32(7)");
  state["momentum/b"] = Tensor::zeros({7}, DType::kF64);
  refuses(state, "expected f32(7)");
  state["momentum/b"] = Tensor::zeros({7});
  state["momentum/c"] = Tensor::zeros({7});
  refuses(state, "momentum/c belongs to no parameter");
}

TEST_CASE("optimizer: groups that do not fit are refused") {
  const Variable w(Tensor::zeros({2}), true), frozen(Tensor::zeros({2}));
  CHECK_THROWS_WITH_AS(Sgd({{.names = {"w", "v"}, .parameters = {w}}}),
                       doctest::Contains("2 names and 1 parameters"), Error);
  CHECK_THROWS_WITH_AS(Sgd({{.names = {"w", "w"}, .parameters = {w, w}}}),
                       doctest::Contains("w is given to the optimiser twice"), Error);
  CHECK_THROWS_WITH_AS(Sgd({{.names = {"w"}, .parameters = {frozen}}}),
                       doctest::Contains("w is frozen"), Error);
  CHECK_THROWS_AS(Sgd({{.names = {"w"}, .parameters = {w}}}, -0.1), Error);
}

TEST_CASE("optimizer: results have the same bytes for 1 and 2 threads") {
  const int before = threads();
  const Tensor start = random_tensor({50000}, 950).cast(DType::kF32);
  const Tensor gradient = random_tensor({50000}, 951).cast(DType::kF32);
  for (const MakeOptimizer& make : {kSgd, kPlainSgd, kAdam}) {
    std::vector<std::vector<float>> results;
    for (int count : {1, 2}) {
      set_threads(count);
      Variable w(start.clone(), true);
      const auto optimizer = make({{.names = {"w"}, .parameters = {w}, .weight_decay = 0.01}});
      w.mutable_grad() = gradient;
      for (int k = 0; k < 3; ++k) optimizer->step(0.02);
      results.push_back(w.value().to_vector<float>());
    }
    CHECK(results[0] == results[1]);
  }
  set_threads(before);
}

TEST_CASE("optimizer: an empty parameter is stepped, saved and restored beside others") {
  for (Device device : available_devices())
    for (const MakeOptimizer& make : {kSgd, kPlainSgd, kAdam}) {
      const auto step = [&](bool with_empty) {
        Variable w(Tensor::full({2}, 3, DType::kF32, device), true);
        Variable none(Tensor::zeros({0, 3}, DType::kF32, device), true);
        ParameterGroup group{.names = {"w"}, .parameters = {w}, .weight_decay = 0.01};
        if (with_empty) {
          group.names.insert(group.names.begin(), "none");
          group.parameters.insert(group.parameters.begin(), none);
        }
        const auto optimizer = make({group});
        w.mutable_grad() = Tensor::full({2}, 0.5, DType::kF32, device);
        none.mutable_grad() = Tensor::zeros({0, 3}, DType::kF32, device);
        optimizer->step(0.1);
        optimizer->load_state(optimizer->state());
        optimizer->step(0.1);
        CHECK(none.shape() == Shape{0, 3});
        return w.value().to_vector<float>();
      };
      const std::vector<float> alone = step(false);
      CHECK(alone[0] < 3);
      CHECK(step(true) == alone);
    }
}

TEST_CASE("schedule: warm-up and milestones follow torch's LinearLR and MultiStepLR") {
  const Schedule schedule{
      .base_rate = 0.02, .warmup_steps = 10, .warmup_factor = 1.0 / 3, .milestones = {20, 30}};
  const std::vector<double> rates =
      golden("optim").tensors.at("schedule.warmup_steps").to_vector<double>();
  for (size_t k = 0; k < rates.size(); ++k)
    CHECK(schedule.rate(int64_t(k)) == close_to(rates[k], 1e-12));
}

TEST_CASE("schedule: polynomial decay follows torch's PolynomialLR") {
  const Schedule schedule{.base_rate = 0.02, .poly_power = 0.9, .total_steps = 20};
  const std::vector<double> rates = golden("optim").tensors.at("schedule.poly").to_vector<double>();
  for (size_t k = 0; k < 20; ++k) CHECK(schedule.rate(int64_t(k)) == close_to(rates[k], 1e-9));
  for (int64_t k = 20; k < 25; ++k) CHECK(schedule.rate(k) == 0);
}

TEST_CASE("schedule: METHOD B1, warm-up of 500 from a third, gamma 0.1") {
  const Schedule schedule{.base_rate = 0.01, .warmup_steps = 500, .milestones = {12000, 16000}};
  CHECK(schedule.rate(0) == close_to(0.01 / 3, 1e-12));
  CHECK(schedule.rate(250) == close_to(0.01 * 2 / 3, 1e-12));
  CHECK(schedule.rate(500) == close_to(0.01, 1e-12));
  CHECK(schedule.rate(11999) == close_to(0.01, 1e-12));
  CHECK(schedule.rate(12000) == close_to(0.001, 1e-12));
  CHECK(schedule.rate(17999) == close_to(0.0001, 1e-12));
}

TEST_CASE("schedule: METHOD B5, poly 0.9 renewed every 10 iterations") {
  const Schedule schedule{
      .base_rate = 2.5e-4, .poly_power = 0.9, .total_steps = 20000, .poly_period = 10};
  CHECK(schedule.rate(9) == 2.5e-4);
  CHECK(schedule.rate(10) == close_to(2.5e-4 * std::pow(19990.0 / 20000, 0.9), 1e-12));
  CHECK(schedule.rate(19) == schedule.rate(10));
  CHECK(schedule.rate(19999) == close_to(2.5e-4 * std::pow(10.0 / 20000, 0.9), 1e-12));
}

TEST_CASE("schedule: settings that make no rate are refused") {
  CHECK_THROWS_AS(Schedule{}.rate(-1), Error);
  const Schedule endless{.poly_power = 0.9};
  CHECK_THROWS_AS(endless.rate(0), Error);
}

TEST_CASE("optimizer: a gradient that is not finite is found, wherever it is, and named") {
  for (Device device : available_devices())
    for (DType dtype : {DType::kF32, DType::kF64}) {
      const auto parameter = [&](int64_t size) {
        Variable v(Tensor::zeros({size}, dtype, device), true);
        v.mutable_grad() = Tensor::full({size}, 1e30, dtype, device);
        return v;
      };
      Variable a = parameter(3), b = parameter(20001), c = parameter(0), none = parameter(5);
      none.clear_grad();
      Sgd sgd({{.names = {"none", "a"}, .parameters = {none, a}},
               {.names = {"c", "b"}, .parameters = {c, b}}});
      CHECK(sgd.nonfinite_gradient() == "");
      for (double wrong : {double(NAN), double(INFINITY), -double(INFINITY)})
        for (int64_t place : {0, 8191, 8192, 20000}) {
          std::vector<double> values(20001, -1.0);
          values[size_t(place)] = wrong;
          b.mutable_grad() = Tensor::from(values, b.shape()).cast(dtype).to(device);
          CHECK(sgd.nonfinite_gradient() == "b");
        }
      a.mutable_grad().fill(NAN);
      CHECK(sgd.nonfinite_gradient() == "a");
    }
}

TEST_CASE("optimizer: parameters that moved away from their optimiser's state are refused") {
  for (Device device : available_devices()) {
    if (device == kCpu) continue;
    for (const MakeOptimizer& make : {kSgd, kAdam}) {
      Variable w(Tensor::zeros({4}), true);
      const auto optimizer = make({{.names = {"w"}, .parameters = {w}}});
      w.mutable_value() = w.value().to(device);
      w.mutable_grad() = Tensor::zeros({4}, DType::kF32, device);
      CHECK_THROWS_WITH_AS(optimizer->step(0.1), doctest::Contains("of w is"), Error);
    }
  }
}
