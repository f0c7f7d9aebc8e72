#include "autograd/optimizer.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct SgdStep {
  T* value;
  const T* gradient;
  T* velocity;  // null without momentum
  T rate, momentum, decay;
  HD void operator()(int64_t i) const {
    T step = gradient[i] + decay * value[i];
    if (velocity) step = velocity[i] = momentum * velocity[i] + step;
    value[i] -= rate * step;
  }
};

template <class T>
struct AdamStep {
  T* value;
  const T* gradient;
  T *first, *second;  // running means of the gradient and of its square
  T rate;             // over 1 - beta1^t
  T correction;       // square root of 1 - beta2^t
  T beta1, beta2, one_minus_beta1, one_minus_beta2, epsilon, decay;
  HD void operator()(int64_t i) const {
    const T g = gradient[i] + decay * value[i];
    first[i] = beta1 * first[i] + one_minus_beta1 * g;
    second[i] = beta2 * second[i] + one_minus_beta2 * g * g;
    value[i] -= rate * first[i] / (std::sqrt(second[i]) / correction + epsilon);
  }
};

// Whether each piece of x holds a NaN or an infinity: these alone differ from themselves by no
// zero.
template <class T>
struct FindNonfinite {
  static constexpr int64_t kPiece = 8192;
  const T* x;
  int32_t* found;
  int64_t n;
  HD void operator()(const Block& g, int64_t piece) const {
    const int64_t end = min_(n, (piece + 1) * kPiece);
    int32_t any = 0;
    for (int64_t i = piece * kPiece + g.rank(); i < end; i += g.size())
      any |= int32_t(x[i] - x[i] != T(0));
    any = g.reduce(any, Larger{});
    if (g.rank() == 0) found[piece] = any;
  }
};

int64_t pieces_of(const Tensor& x) {
  constexpr int64_t kPiece = FindNonfinite<float>::kPiece;
  return (x.size() + kPiece - 1) / kPiece;
}

}  // namespace

Optimizer::Optimizer(const std::vector<ParameterGroup>& groups) {
  std::set<std::string> seen;
  for (const ParameterGroup& group : groups) {
    check(group.names.size() == group.parameters.size(), "a parameter group of ",
          group.names.size(), " names and ", group.parameters.size(), " parameters");
    for (size_t i = 0; i < group.names.size(); ++i) {
      const std::string& name = group.names[i];
      check(seen.insert(name).second, "parameter ", name, " is given to the optimiser twice");
      check(group.parameters[i].needs_grad(), "parameter ", name,
            " is frozen; give the optimiser only those that need a gradient");
      entries_.push_back({name, group.parameters[i], group.lr_scale, group.weight_decay, {}});
    }
  }
}

void Optimizer::clear_gradients() {
  for (Entry& entry : entries_) entry.parameter.clear_grad();
}

std::string Optimizer::nonfinite_gradient() const {
  if (entries_.empty()) return "";
  int64_t pieces = 0;
  for (const Entry& entry : entries_) pieces += pieces_of(entry.parameter.grad());
  // One answer for all, so that a GPU is waited for once.
  Tensor found = Tensor::empty({pieces}, DType::kI32, entries_[0].parameter.device());
  int32_t* next = found.mutable_data<int32_t>();
  for (const Entry& entry : entries_) {
    const Tensor& gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    check(gradient.device() == found.device(), "the gradient of ", entry.name, " is ", gradient,
          "; expected one on ", found.device());
    dispatch_float(gradient.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_blocks("nonfinite", gradient.stream(), pieces_of(gradient), 256, 0,
                      FindNonfinite<T>{gradient.data<T>(), next, gradient.size()}, gradient.size(),
                      int64_t(gradient.bytes()));
    });
    next += pieces_of(gradient);
  }
  const std::vector<int32_t> values = found.to_vector<int32_t>();
  auto value = values.begin();
  for (const Entry& entry : entries_) {
    const auto end = value + pieces_of(entry.parameter.grad());
    if (std::find(value, end, 1) != end) return entry.name;
    value = end;
  }
  return "";
}

void Optimizer::check_devices(const Entry& entry) {
  const Device device = entry.parameter.device();
  const auto is_here = [&](const Tensor& t) { return t.size() == 0 || t.device() == device; };
  check(is_here(entry.parameter.grad()), "optimiser: the gradient of ", entry.name, " is ",
        entry.parameter.grad(), "; expected one on ", device);
  for (const auto& [kind, tensor] : entry.state)
    if (kind != "steps")  // Adam's count is the host's
      check(is_here(tensor), "optimiser: ", kind, " of ", entry.name, " is ", tensor,
            "; the parameter is on ", device, ": move the module before the optimiser is made");
}

std::map<std::string, Tensor> Optimizer::state() const {
  std::map<std::string, Tensor> state;
  for (const Entry& entry : entries_)
    for (const auto& [kind, tensor] : entry.state) state[kind + "/" + entry.name] = tensor.clone();
  return state;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& state) {
  std::map<std::string, Tensor> own;
  for (const Entry& entry : entries_)
    for (const auto& [kind, tensor] : entry.state) own[kind + "/" + entry.name] = tensor;
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    check(found != state.end(), "optimiser state: ", name, " is missing");
    const Tensor& saved = found->second;
    check(saved.defined() && saved.shape() == tensor.shape() && saved.dtype() == tensor.dtype(),
          "optimiser state: ", name, " is ", saved, "; expected ", tensor.dtype(), tensor.shape());
  }
  for (const auto& [name, tensor] : state)
    check(own.count(name) == 1, "optimiser state: ", name, " belongs to no parameter here");
  for (auto& [name, tensor] : own) tensor.copy_from(state.at(name));
}

Sgd::Sgd(const std::vector<ParameterGroup>& groups, double momentum)
    : Optimizer(groups), momentum_(momentum) {
  check(momentum >= 0, "Sgd: momentum is ", momentum, "; expected 0 or more");
  if (momentum == 0) return;
  for (Entry& entry : entries_)
    entry.state["momentum"] = Tensor::zeros_like(entry.parameter.value());
}

void Sgd::step(double learning_rate) {
  for (Entry& entry : entries_) {
    const Tensor& gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    check_devices(entry);
    Tensor& value = entry.parameter.mutable_value();
    dispatch_float(value.dtype(), [&](auto t) {
      using T = decltype(t);
      T* velocity = momentum_ == 0 ? nullptr : entry.state["momentum"].mutable_data<T>();
      const SgdStep<T> kernel{
          value.mutable_data<T>(),           gradient.data<T>(), velocity,
          T(learning_rate * entry.lr_scale), T(momentum_),       T(entry.weight_decay)};
      parallel_for("sgd", value.stream(), value.size(), kernel, 6 * value.size(),
                   int64_t(5 * value.bytes()));
    });
  }
}

Adam::Adam(const std::vector<ParameterGroup>& groups, AdamOptions options)
    : Optimizer(groups), options_(options) {
  for (Entry& entry : entries_) {
    entry.state["first_moment"] = Tensor::zeros_like(entry.parameter.value());
    entry.state["second_moment"] = Tensor::zeros_like(entry.parameter.value());
    entry.state["steps"] = Tensor::zeros({}, DType::kI64);
  }
}

void Adam::step(double learning_rate) {
  const auto& [beta1, beta2, epsilon] = options_;
  for (Entry& entry : entries_) {
    const Tensor& gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    check_devices(entry);
    Tensor& value = entry.parameter.mutable_value();
    const auto steps = double(++*entry.state["steps"].mutable_data<int64_t>());
    const double rate = learning_rate * entry.lr_scale / (1 - std::pow(beta1, steps));
    const double correction = std::sqrt(1 - std::pow(beta2, steps));
    dispatch_float(value.dtype(), [&](auto t) {
      using T = decltype(t);
      const AdamStep<T> kernel{.value = value.mutable_data<T>(),
                               .gradient = gradient.data<T>(),
                               .first = entry.state["first_moment"].mutable_data<T>(),
                               .second = entry.state["second_moment"].mutable_data<T>(),
                               .rate = T(rate),
                               .correction = T(correction),
                               .beta1 = T(beta1),
                               .beta2 = T(beta2),
                               .one_minus_beta1 = T(1 - beta1),
                               .one_minus_beta2 = T(1 - beta2),
                               .epsilon = T(epsilon),
                               .decay = T(entry.weight_decay)};
      parallel_for("adam", value.stream(), value.size(), kernel, 14 * value.size(),
                   int64_t(7 * value.bytes()));
    });
  }
}

}  // namespace bbam
