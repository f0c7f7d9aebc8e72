// One description of an op, six checks:
//   1 shape and values against an independent oracle, f32 and f64
//   2 gradients against central differences in double
//   3 every back end and device against the reference loops
//   4 empty and odd shapes (the examples)
//   5 sentinels around every allocation: a write is counted, a read is a NaN
//   6 outputs poisoned with NaN beforehand
// Checks 1, 2, 5 and 6 run on each device of the build.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "autograd/variable.h"

namespace bbam::test {

// One set of inputs: f64 tensors on the CPU (integer tensors stay as they are).
struct Example {
  std::string what;  // "odd", "empty", "stride 2"
  std::vector<Tensor> inputs;
  Function op;
  // Expected values of the result, row-major, from the inputs; written as plainly as possible and
  // sharing no code with the op.
  std::function<std::vector<double>(const std::vector<Tensor>&)> oracle;
  // The shape of the result, written down or worked out without the op; absent: not compared.
  std::optional<Shape> shape = {};
};

struct OpCase {
  std::string op;
  std::vector<Example> examples;
  std::vector<bool> differentiable = {};  // per input; empty: all f64 inputs
  double tolerance = 1e-5;                // f32, relative to max(1, |expected|)
  double gradient_tolerance = 1e-6;
  bool has_gradient = true;
};

// What is wrong with the op, one line each; empty when all checks pass.
std::vector<std::string> failures(const OpCase& op_case);
// Fails the test case with each of them.
void run(const OpCase& op_case);

// Values in [low, high), the same on every run; far enough from each other for smooth tests.
Tensor random_tensor(Shape shape, uint64_t seed, double low = -1, double high = 1);
// Distinct values in random order with gaps of at least `gap`: for max, sort and kinked ops.
Tensor distinct_tensor(Shape shape, uint64_t seed, double gap = 0.01);

// Prints "op, examples, elements checked, worst relative error" of every case run so far.
void print_gradcheck_table();

}  // namespace bbam::test
