// The test of the op test: ops that are bad in one way each, and what finds them.
#include <doctest/doctest.h>

#include <cmath>

#include "tensor/allocator.h"
#include "tests/audit.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kSize = 6;

// y = 2 x written on the host by `body(x, y)`, brought back to the device of x.
template <class Body>
Function on_host(const Body& body) {
  return [body](const std::vector<Variable>& v) {
    const Tensor x = v[0].value().to(kCpu);
    Tensor y = Tensor::empty_like(x);
    dispatch_float(x.dtype(), [&](auto t) {
      using T = decltype(t);
      body(x.data<T>(), y.mutable_data<T>());
    });
    return Variable(y.to(v[0].device()));
  };
}

OpCase twice(const Function& op) {
  const auto oracle = [](const std::vector<Tensor>& v) {
    std::vector<double> y = v[0].to_vector<double>();
    for (double& value : y) value *= 2;
    return y;
  };
  return {.op = "self-test",
          .examples = {{"six values", {random_tensor({kSize}, 1)}, op, oracle, Shape{kSize}}},
          .has_gradient = false};
}

bool mentions(const std::vector<std::string>& failures, const std::string& text) {
  for (const std::string& failure : failures)
    if (failure.find(text) != std::string::npos) return true;
  return false;
}

const auto kRight = [](const auto* x, auto* y) {
  for (int64_t i = 0; i < kSize; ++i) y[i] = 2 * x[i];
};

}  // namespace

TEST_CASE("op_case: a right op has no failures") {
  CHECK(failures(twice(on_host(kRight))).empty());
}

TEST_CASE("op_case: an element that is not written is found") {
  const auto bad = [](const auto* x, auto* y) {
    for (int64_t i = 0; i + 1 < kSize; ++i) y[i] = 2 * x[i];
  };
  CHECK(mentions(failures(twice(on_host(bad))), "off by inf"));
}

TEST_CASE("op_case: one value that is wrong by 1e-4 is found") {
  const auto bad = [](const auto* x, auto* y) {
    kRight(x, y);
    y[3] += 1e-4;
  };
  CHECK(mentions(failures(twice(on_host(bad))), "values in f32"));
  CHECK(mentions(failures(twice(on_host(bad))), "values in f64"));
}

TEST_CASE("op_case: a wrong shape of the right size is found") {
  const Function right = on_host(kRight);
  const auto bad = [right](const std::vector<Variable>& v) {
    return Variable(right(v).value().reshape({2, 3}));
  };
  CHECK(mentions(failures(twice(bad)), "shape (2, 3)"));
}

TEST_CASE("op_case: a write past the end and one before the start are found") {
  const auto past = [](const auto* x, auto* y) {
    kRight(x, y);
    y[kSize] = 0;
  };
  const auto before = [](const auto* x, auto* y) {
    kRight(x, y);
    y[-1] = 0;
  };
  for (const auto& op : {on_host(past), on_host(before)}) {
    const int64_t start = MemoryAudit::violations();
    CHECK(mentions(failures(twice(op)), "out of bounds"));
    CHECK(MemoryAudit::violations() > start);
    expect_violations(MemoryAudit::violations() - start);
  }
}

TEST_CASE("op_case: a read past the end and one before the start are found, even times 0") {
  const auto past = [](const auto* x, auto* y) {
    for (int64_t i = 0; i < kSize; ++i) y[i] = 2 * x[i] + 0 * x[i + 1];
  };
  const auto before = [](const auto* x, auto* y) {
    for (int64_t i = 0; i < kSize; ++i) y[i] = 2 * x[i] + 0 * x[i - 1];
  };
  for (const auto& op : {on_host(past), on_host(before)}) {
    const auto found = failures(twice(op));
    CHECK(mentions(found, "values in f32"));
    CHECK(mentions(found, "values in f64"));
  }
}

TEST_CASE("op_case: a wrong gradient is found") {
  const auto bad = [](const std::vector<Variable>& v) {
    return record("bad", on_host(kRight)(v).value(), {v[0]},
                  [](const Tensor& dy, Gradients& dx) { dx.give(0, dy.clone()); });
  };
  OpCase op_case = twice(bad);
  op_case.has_gradient = true;
  CHECK(mentions(failures(op_case), "gradient on"));
}
