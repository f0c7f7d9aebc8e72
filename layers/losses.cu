#include "layers/losses.h"

#include "layers/broadcast.h"
#include "layers/elementwise.h"
#include "layers/reduce.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Reciprocal {
  const T* count;
  T* y;
  HD void operator()(int64_t i) const { y[i] = count[i] == T(0) ? T(0) : T(1) / count[i]; }
};

// The weighted terms to one number; `weights` (undefined: all 1) are those already in the terms.
Variable reduce_terms(const Variable& terms, const Tensor& weights, Reduction reduction) {
  const Variable total = sum(terms);
  if (reduction == Reduction::kSum) return total;
  if (!weights.defined()) {
    const int64_t count = terms.value().size();
    return scale(total, count > 0 ? 1.0 / double(count) : 0.0);
  }
  const Tensor count = sum_to(weights, {});
  Tensor reciprocal = Tensor::empty_like(count);
  dispatch_float(count.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("loss.count", count.stream(), 1,
                 Reciprocal<T>{count.data<T>(), reciprocal.mutable_data<T>()});
  });
  return mul(total, reciprocal);
}

// ---- Cross entropy

// One block per row: its term and its weight (0 when it is ignored), and the logarithm of the sum
// of exponentials for the backward sweep.
template <class T>
struct CrossEntropy {
  const T* logits;
  const int64_t* labels;
  const T* given_weights;  // or null
  T *terms, *weights, *log_sums;
  int64_t classes, ignore;
  HD void operator()(Block g, int64_t row) const {
    const T* x = logits + row * classes;
    T top = x[0];
    for (int64_t c = g.rank(); c < classes; c += g.size()) top = max_(top, x[c]);
    top = g.reduce(top, Larger{});
    T sum = T(0);
    for (int64_t c = g.rank(); c < classes; c += g.size()) sum += std::exp(x[c] - top);
    sum = g.reduce(sum, Plus{});
    if (g.rank() != 0) return;
    const bool is_counted = labels[row] != ignore;
    const T weight = !is_counted ? T(0) : given_weights ? given_weights[row] : T(1);
    log_sums[row] = top + std::log(sum);
    weights[row] = weight;
    terms[row] = is_counted ? weight * (log_sums[row] - x[labels[row]]) : T(0);
  }
};

// d term / d logit = weight (softmax - one at the label)
template <class T>
struct CrossEntropyBackward {
  const T* logits;
  const int64_t* labels;
  const T *weights, *log_sums, *dy;
  T* dx;
  int64_t classes, ignore;
  HD void operator()(int64_t i) const {
    const int64_t row = i / classes, c = i % classes;
    const T slope = std::exp(logits[i] - log_sums[row]) - T(c == labels[row]);
    dx[i] = labels[row] == ignore ? T(0) : dy[row] * weights[row] * slope;
  }
};

// Of the loss `name`: (rows) i64, each 0 to `most` or `ignore`.
void check_labels(const char* name, const Tensor& labels, int64_t rows, int64_t most,
                  int64_t ignore) {
  check(labels.rank() == 1 && labels.dim(0) == rows && labels.dtype() == DType::kI64, name,
        ": labels are ", labels, "; expected i64(", rows, ")");
  const Tensor on_host = labels.to(kCpu);
  const int64_t* label = on_host.data<int64_t>();
  for (int64_t row = 0; row < rows; ++row)
    check((label[row] >= 0 && label[row] <= most) || label[row] == ignore, name, ": label ",
          label[row], " of row ", row, "; expected 0 to ", most, " or ", ignore, " (ignored)");
}

// ---- Focal loss

// Of one logit, as a function of z, the logit of the wrong answer (-x for the row's class, x for
// the others): alpha_t sigmoid(z)^gamma log(1 + e^z). No subtraction from 1 loses its digits.
struct Focal {
  double alpha, gamma;
  template <class T>
  HD T share(bool is_class) const {
    return T(is_class ? alpha : 1 - alpha);
  }
  template <class T>
  HD T entropy(T z) const {
    return max_(z, T(0)) + std::log1p(std::exp(-abs_(z)));
  }
  template <class T>
  HD T value(T x, bool is_class) const {
    const T z = is_class ? -x : x;
    return share<T>(is_class) * std::pow(sigmoid_(z), T(gamma)) * entropy(z);
  }
  template <class T>
  HD T slope(T x, bool is_class) const {
    const T z = is_class ? -x : x, wrong = sigmoid_(z);
    const T by_z = std::pow(wrong, T(gamma)) * (wrong + T(gamma) * sigmoid_(-z) * entropy(z));
    return share<T>(is_class) * (is_class ? -by_z : by_z);
  }
};

// One block per row: its term and its weight (0 when it is ignored).
template <class T>
struct FocalLoss {
  const T* logits;
  const int64_t* labels;
  const T* given_weights;  // or null
  T *terms, *weights;
  int64_t classes, ignore;
  Focal f;
  HD void operator()(Block g, int64_t row) const {
    T sum = T(0);
    for (int64_t c = g.rank(); c < classes; c += g.size())
      sum += f.value(logits[row * classes + c], c + 1 == labels[row]);
    sum = g.reduce(sum, Plus{});
    if (g.rank() != 0) return;
    const bool is_counted = labels[row] != ignore;
    weights[row] = !is_counted ? T(0) : given_weights ? given_weights[row] : T(1);
    terms[row] = is_counted ? weights[row] * sum : T(0);
  }
};

template <class T>
struct FocalLossBackward {
  const T* logits;
  const int64_t* labels;
  const T *weights, *dy;
  T* dx;
  int64_t classes, ignore;
  Focal f;
  HD void operator()(int64_t i) const {
    const int64_t row = i / classes, c = i % classes;
    dx[i] = labels[row] == ignore
                ? T(0)
                : dy[row] * weights[row] * f.slope(logits[i], c + 1 == labels[row]);
  }
};

// ---- Losses of one logit or value and its target. value(x, t) and its derivative by x.

struct BceWithLogits {
  static constexpr const char *kLabel = "bce_with_logits", *kBackward = "bce_with_logits.backward";
  // Neither exponential overflows, for x of either sign.
  template <class T>
  HD T value(T x, T t) const {
    return max_(x, T(0)) - x * t + std::log1p(std::exp(-abs_(x)));
  }
  template <class T>
  HD T slope(T x, T t) const {
    return sigmoid_(x) - t;
  }
};

struct SmoothL1 {
  static constexpr const char *kLabel = "smooth_l1", *kBackward = "smooth_l1.backward";
  double beta;
  template <class T>
  HD T value(T x, T t) const {
    const T distance = abs_(x - t);
    return distance < T(beta) ? distance * distance / T(2 * beta) : distance - T(beta / 2);
  }
  template <class T>
  HD T slope(T x, T t) const {
    const T d = x - t;
    return abs_(d) < T(beta) ? d / T(beta) : sign_(d);
  }
};

template <class T, class F>
struct Pointwise {
  const T *x, *target, *weights;  // weights may be null
  T* y;
  F f;
  HD void operator()(int64_t i) const {
    y[i] = (weights ? weights[i] : T(1)) * f.value(x[i], target[i]);
  }
};

template <class T, class F>
struct PointwiseBackward {
  const T *x, *target, *weights, *dy;
  T* dx;
  F f;
  HD void operator()(int64_t i) const {
    dx[i] = dy[i] * (weights ? weights[i] : T(1)) * f.slope(x[i], target[i]);
  }
};

template <class F>
Variable pointwise(const Variable& x, const Tensor& target, Reduction reduction,
                   const Tensor& given_weights, F f) {
  const Tensor value = x.value();
  check_same(value, target, F::kLabel);
  Tensor weights = given_weights;
  if (weights.defined() && weights.shape() != value.shape())
    weights = broadcast_to(weights, value.shape());
  if (weights.defined()) check_same(value, weights, F::kLabel);
  Tensor y = Tensor::empty_like(value);
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    const Pointwise<T, F> kernel{value.data<T>(), target.data<T>(),
                                 weights.defined() ? weights.data<T>() : nullptr,
                                 y.mutable_data<T>(), f};
    parallel_for(F::kLabel, value.stream(), value.size(), kernel, 4 * value.size(),
                 int64_t(3 * value.bytes()));
  });
  const Variable terms =
      record(F::kLabel, y, {x}, [value, target, weights, f](const Tensor& dy, Gradients& dx) {
        Tensor d = Tensor::empty_like(dy);
        dispatch_float(dy.dtype(), [&](auto t) {
          using T = decltype(t);
          const PointwiseBackward<T, F> kernel{
              value.data<T>(), target.data<T>(),    weights.defined() ? weights.data<T>() : nullptr,
              dy.data<T>(),    d.mutable_data<T>(), f};
          parallel_for(F::kBackward, dy.stream(), dy.size(), kernel, 4 * dy.size(),
                       int64_t(4 * dy.bytes()));
        });
        dx.give(0, d);
      });
  return reduce_terms(terms, weights, reduction);
}

}  // namespace

Variable cross_entropy(const Variable& logits, const Tensor& labels, Reduction reduction,
                       int64_t ignore, const Tensor& given_weights) {
  const Tensor x = logits.value();
  check_shape(x, {-1, -1}, "cross_entropy: logits");
  const int64_t rows = x.dim(0), classes = x.dim(1);
  check(classes > 0, "cross_entropy: logits are ", x, "; expected at least one class");
  check_labels("cross_entropy", labels, rows, classes - 1, ignore);
  Tensor terms = Tensor::empty({rows}, x.dtype(), x.device());
  Tensor weights = Tensor::empty_like(terms), log_sums = Tensor::empty_like(terms);
  if (given_weights.defined()) check_same(given_weights, weights, "cross_entropy: weights, terms");
  const Tensor on_device = labels.to(x.device());
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const CrossEntropy<T> kernel{x.data<T>(),
                                 on_device.data<int64_t>(),
                                 given_weights.defined() ? given_weights.data<T>() : nullptr,
                                 terms.mutable_data<T>(),
                                 weights.mutable_data<T>(),
                                 log_sums.mutable_data<T>(),
                                 classes,
                                 ignore};
    parallel_blocks("cross_entropy", x.stream(), rows, 32, 0, kernel, 3 * x.size(),
                    int64_t(x.bytes()));
  });
  const Variable per_row =
      record("cross_entropy", terms, {logits},
             [x, on_device, weights, log_sums, classes, ignore](const Tensor& dy, Gradients& dx) {
               Tensor d = Tensor::empty_like(x);
               dispatch_float(x.dtype(), [&](auto t) {
                 using T = decltype(t);
                 const CrossEntropyBackward<T> kernel{
                     x.data<T>(),  on_device.data<int64_t>(), weights.data<T>(), log_sums.data<T>(),
                     dy.data<T>(), d.mutable_data<T>(),       classes,           ignore};
                 parallel_for("cross_entropy.backward", x.stream(), x.size(), kernel, 3 * x.size(),
                              int64_t(2 * x.bytes()));
               });
               dx.give(0, d);
             });
  return reduce_terms(per_row, weights, reduction);
}

Variable sigmoid_focal_loss(const Variable& logits, const Tensor& labels, double alpha,
                            double gamma, Reduction reduction, int64_t ignore,
                            const Tensor& given_weights) {
  const Tensor x = logits.value();
  check_shape(x, {-1, -1}, "sigmoid_focal_loss: logits");
  check(alpha >= 0 && alpha <= 1 && gamma >= 0, "sigmoid_focal_loss: alpha ", alpha, ", gamma ",
        gamma, "; expected alpha in [0, 1] and gamma of 0 or more");
  const int64_t rows = x.dim(0), classes = x.dim(1);
  check_labels("sigmoid_focal_loss", labels, rows, classes, ignore);
  Tensor terms = Tensor::empty({rows}, x.dtype(), x.device());
  Tensor weights = Tensor::empty_like(terms);
  if (given_weights.defined())
    check_same(given_weights, weights, "sigmoid_focal_loss: weights, terms");
  const Tensor on_device = labels.to(x.device());
  const Focal f{alpha, gamma};
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const FocalLoss<T> kernel{x.data<T>(),
                              on_device.data<int64_t>(),
                              given_weights.defined() ? given_weights.data<T>() : nullptr,
                              terms.mutable_data<T>(),
                              weights.mutable_data<T>(),
                              classes,
                              ignore,
                              f};
    parallel_blocks("sigmoid_focal_loss", x.stream(), rows, 32, 0, kernel, 10 * x.size(),
                    int64_t(x.bytes()));
  });
  const Variable per_row =
      record("sigmoid_focal_loss", terms, {logits},
             [x, on_device, weights, classes, ignore, f](const Tensor& dy, Gradients& dx) {
               Tensor d = Tensor::empty_like(x);
               dispatch_float(x.dtype(), [&](auto t) {
                 using T = decltype(t);
                 const FocalLossBackward<T> kernel{x.data<T>(),
                                                   on_device.data<int64_t>(),
                                                   weights.data<T>(),
                                                   dy.data<T>(),
                                                   d.mutable_data<T>(),
                                                   classes,
                                                   ignore,
                                                   f};
                 parallel_for("sigmoid_focal_loss.backward", x.stream(), x.size(), kernel,
                              15 * x.size(), int64_t(2 * x.bytes()));
               });
               dx.give(0, d);
             });
  return reduce_terms(per_row, weights, reduction);
}

Variable bce_with_logits(const Variable& logits, const Tensor& targets, Reduction reduction,
                         const Tensor& weights) {
  return pointwise(logits, targets, reduction, weights, BceWithLogits{});
}

Variable smooth_l1(const Variable& x, const Tensor& target, double beta, Reduction reduction,
                   const Tensor& weights) {
  check(beta >= 0, "smooth_l1: beta is ", beta, "; expected 0 or more");
  return pointwise(x, target, reduction, weights, SmoothL1{beta});
}

Variable l1(const Variable& x, const Variable& target, Reduction reduction) {
  check_same(x.value(), target.value(), "l1");
  return reduce_terms(abs(sub(x, target)), {}, reduction);
}

}  // namespace bbam
