// Reverse-mode differentiation by closures (DESIGN decision 4).
//
// An op computes its value and records one lambda that maps the gradient of its output to those of
// its inputs, in the same function:
//
//   Variable square(const Variable& x) {
//     Tensor y = ...;
//     return record("square", y, {x}, [x](const Tensor& dy, Gradients& dx) {
//       dx.give(0, ...2 * x.value() * dy...);
//     });
//   }
//
// Inputs that need no gradient are never differentiated: ask dx.needs(i) before computing one.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

struct Node;
class Gradients;
using BackwardFn = std::function<void(const Tensor& dy, Gradients& dx)>;

// A value in the graph. Copies share the value, the gradient and the history.
class Variable {
 public:
  Variable() = default;
  // A leaf: a parameter (needs_grad) or a constant.
  Variable(Tensor value, bool needs_grad = false);  // NOLINT: a Tensor is a constant Variable

  bool defined() const { return node_ != nullptr; }
  const Tensor& value() const;
  Tensor& mutable_value();  // leaves only: for optimisers and checkpoint readers
  bool needs_grad() const;
  void set_needs_grad(bool needs);  // leaves only

  // dL/dvalue after backward(); undefined before, and for values inside the graph.
  const Tensor& grad() const;
  Tensor& mutable_grad();
  void clear_grad();

  const Shape& shape() const { return value().shape(); }
  int64_t dim(int axis) const { return value().dim(axis); }
  int rank() const { return value().rank(); }
  DType dtype() const { return value().dtype(); }
  Device device() const { return value().device(); }
  // The same numbers without history: gradients stop here.
  Variable detach() const { return Variable(value()); }

  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  friend Variable record(const char*, Tensor, std::vector<Variable>, BackwardFn);
  std::shared_ptr<Node> node_;
};

// Where a backward closure puts the gradients of its op's inputs.
class Gradients {
 public:
  explicit Gradients(const std::vector<std::shared_ptr<Node>>& inputs) : inputs_(inputs) {}
  bool needs(size_t input) const;
  // Adds `gradient` (shape and type of the input) to what the input has received so far. The tensor
  // may be kept, and later added to in place when nobody else holds it.
  void give(size_t input, Tensor gradient);

 private:
  const std::vector<std::shared_ptr<Node>>& inputs_;
};

// Makes the result of op `name`. When no input needs a gradient, or under NoGrad, the closure is
// dropped and the result is a constant.
Variable record(const char* name, Tensor value, std::vector<Variable> inputs, BackwardFn backward);

// Adds dL/dleaf to the gradient of every leaf that needs one. `loss` must hold one element unless a
// `seed` (dL/dloss, same shape) is given. The history is freed on the way; a second call throws.
void backward(const Variable& loss, Tensor seed = {});

// No history is recorded in this thread while one lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace bbam
