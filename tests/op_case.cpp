#include "tests/op_case.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tensor/allocator.h"
#include "tensor/backend.h"
#include "tensor/random.h"

namespace bbam::test {
namespace {

struct Row {
  int64_t examples = 0, checked = 0;
  double worst = 0;
};

std::map<std::string, Row>& table() {
  static std::map<std::string, Row> rows;
  return rows;
}

std::vector<Variable> inputs_as(const Example& example, DType dtype, Device device, bool needs_grad,
                                const std::vector<bool>& differentiable) {
  std::vector<Variable> inputs;
  for (size_t i = 0; i < example.inputs.size(); ++i) {
    const bool is_float = example.inputs[i].dtype() == DType::kF64;
    const Tensor value = is_float ? example.inputs[i].cast(dtype) : example.inputs[i];
    const bool wanted = differentiable.empty() || differentiable[i];
    inputs.emplace_back(value.to(device).clone(), needs_grad && is_float && wanted);
  }
  return inputs;
}

// The largest |a - b| / max(1, |b|); infinite when a NaN shows (an output left unwritten).
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
    if (a[i] == b[i]) continue;
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

std::vector<double> as_double(const Tensor& tensor) {
  return tensor.to(kCpu).cast(DType::kF64).to_vector<double>();
}

// The value and all gradients for the cotangent cos(k), as one list.
std::vector<double> value_and_gradients(const OpCase& op_case, const Example& example, DType dtype,
                                        Device device) {
  const auto inputs =
      inputs_as(example, dtype, device, op_case.has_gradient, op_case.differentiable);
  const Variable y = example.op(inputs);
  std::vector<double> all = as_double(y.value());
  if (!y.needs_grad()) return all;
  std::vector<double> cotangent(size_t(y.value().size()));
  for (size_t k = 0; k < cotangent.size(); ++k) cotangent[k] = std::cos(double(k));
  backward(y, Tensor::from(cotangent, y.shape()).cast(dtype).to(device));
  for (const Variable& input : inputs) {
    if (!input.needs_grad()) continue;
    std::vector<double> gradient(size_t(input.value().size()), 0.0);
    if (input.grad().defined()) gradient = as_double(input.grad());
    all.insert(all.end(), gradient.begin(), gradient.end());
  }
  return all;
}

// Collects what is wrong with one example.
class Report {
 public:
  explicit Report(std::string what) : what_(std::move(what)) {}

  template <class... Parts>
  void check(bool good, const Parts&... parts) {
    if (!good) lines_.push_back(join(what_, ": ", parts...));
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string what_;
  std::vector<std::string> lines_;
};

void check_values(const OpCase& op_case, const Example& example, Device device, Report& report) {
  const std::vector<double> expected = example.oracle(example.inputs);
  for (DType dtype : {DType::kF64, DType::kF32}) {
    const NoGrad frozen;
    const Variable y = example.op(inputs_as(example, dtype, device, false, {}));
    const double tolerance = dtype == DType::kF64 ? 1e-10 : op_case.tolerance;
    const std::vector<double> values = as_double(y.value());
    const std::string where = join(to_string(dtype), " on ", to_string(device));
    if (example.shape)
      report.check(y.shape() == *example.shape, "shape ", y.shape(), " in ", where, "; expected ",
                   *example.shape);
    report.check(values.size() == expected.size(), values.size(), " values in ", where,
                 "; expected ", expected.size());
    const double error = distance(values, expected);
    report.check(error <= tolerance, "values in ", where, " are off by ", error);
  }
}

void check_gradients(const OpCase& op_case, const Example& example, Device device, Report& report) {
  std::vector<Tensor> inputs;
  for (const Tensor& input : example.inputs) inputs.push_back(input.to(device));
  const GradcheckResult result = gradcheck(example.op, inputs, op_case.differentiable);
  report.check(result.worst <= op_case.gradient_tolerance, "gradient on ", to_string(device),
               " is off by ", result.worst, ", ", result.where);
  Row& row = table()[op_case.op];
  row.checked += result.checked;
  row.worst = std::max(row.worst, result.worst);
}

void check_backends(const OpCase& op_case, const Example& example, Device device, Report& report) {
  std::vector<double> reference;
  {
    const UseBackend loops(Backend::kReference);
    reference = value_and_gradients(op_case, example, DType::kF32, kCpu);
  }
  const std::vector<double> fast = value_and_gradients(op_case, example, DType::kF32, device);
  const double error = distance(fast, reference);
  report.check(error <= 10 * op_case.tolerance, "f32 back end of ", to_string(device),
               " against the reference loops: off by ", error);
}

}  // namespace

std::vector<std::string> failures(const OpCase& op_case) {
  const MemoryAudit audit;
  std::vector<std::string> all;
  for (const Example& example : op_case.examples) {
    Report report(join(op_case.op, ", ", example.what));
    const int64_t violations = MemoryAudit::violations();
    for (Device device : available_devices()) {
      check_values(op_case, example, device, report);
      if (op_case.has_gradient) check_gradients(op_case, example, device, report);
      check_backends(op_case, example, device, report);
    }
    report.check(MemoryAudit::violations() == violations, "wrote out of bounds");
    all.insert(all.end(), report.lines().begin(), report.lines().end());
    table()[op_case.op].examples += 1;
  }
  return all;
}

void run(const OpCase& op_case) {
  const std::vector<std::string> all = failures(op_case);
  for (const std::string& failure : all) FAIL_CHECK(failure);
  CHECK(all.empty());
}

Tensor random_tensor(Shape shape, uint64_t seed, double low, double high) {
  std::vector<double> values(size_t(shape.size()));
  RandomSequence random(seed, 11);
  for (double& value : values) value = random.uniform(low, high);
  return Tensor::from(values, shape);
}

Tensor distinct_tensor(Shape shape, uint64_t seed, double gap) {
  std::vector<double> values(size_t(shape.size()));
  RandomSequence random(seed, 12);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = gap * (double(i) - double(values.size()) / 2 + 0.5);
  for (size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[size_t(random.below(int64_t(i)))]);
  return Tensor::from(values, shape);
}

void print_gradcheck_table() {
  fmt::print("{:<32} {:>9} {:>10} {:>14}\n", "op", "examples", "elements", "worst error");
  for (const auto& [op, row] : table()) {
    const bool has_gradient = row.checked > 0;
    fmt::print("{:<32} {:>9} {:>10} {:>14}\n", op, row.examples, row.checked,
               has_gradient ? fmt::format("{:.2e}", row.worst) : "no gradient");
  }
}

}  // namespace bbam::test
