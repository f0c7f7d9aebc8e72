#include "layers/elementwise.h"

#include "layers/broadcast.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// ---- One operand. value(x) is the function; slope(s) its derivative, where s is the result when
// kSlopeFromResult and x otherwise: one of the two need not be kept for the backward sweep.

struct Scale {
  static constexpr const char *kLabel = "scale", *kBackward = "scale.backward";
  static constexpr bool kSlopeFromResult = true;
  double factor;
  template <class T>
  HD T value(T x) const {
    return T(factor) * x;
  }
  template <class T>
  HD T slope(T) const {
    return T(factor);
  }
};

struct Shift {
  static constexpr const char *kLabel = "shift", *kBackward = "shift.backward";
  static constexpr bool kSlopeFromResult = true;
  double term;
  template <class T>
  HD T value(T x) const {
    return x + T(term);
  }
  template <class T>
  HD T slope(T) const {
    return T(1);
  }
};

struct Relu {
  static constexpr const char *kLabel = "relu", *kBackward = "relu.backward";
  static constexpr bool kSlopeFromResult = true;
  template <class T>
  HD T value(T x) const {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  HD T slope(T y) const {
    return T(y > T(0));
  }
};

struct Sigmoid {
  static constexpr const char *kLabel = "sigmoid", *kBackward = "sigmoid.backward";
  static constexpr bool kSlopeFromResult = true;
  template <class T>
  HD T value(T x) const {
    return sigmoid_(x);
  }
  template <class T>
  HD T slope(T y) const {
    return y * (T(1) - y);
  }
};

struct Exp {
  static constexpr const char *kLabel = "exp", *kBackward = "exp.backward";
  static constexpr bool kSlopeFromResult = true;
  template <class T>
  HD T value(T x) const {
    return std::exp(x);
  }
  template <class T>
  HD T slope(T y) const {
    return y;
  }
};

struct Log {
  static constexpr const char *kLabel = "log", *kBackward = "log.backward";
  static constexpr bool kSlopeFromResult = false;
  template <class T>
  HD T value(T x) const {
    return std::log(x);
  }
  template <class T>
  HD T slope(T x) const {
    return T(1) / x;
  }
};

struct Sqrt {
  static constexpr const char *kLabel = "sqrt", *kBackward = "sqrt.backward";
  static constexpr bool kSlopeFromResult = true;
  template <class T>
  HD T value(T x) const {
    return std::sqrt(x);
  }
  template <class T>
  HD T slope(T y) const {
    return T(0.5) / y;
  }
};

struct Square {
  static constexpr const char *kLabel = "square", *kBackward = "square.backward";
  static constexpr bool kSlopeFromResult = false;
  template <class T>
  HD T value(T x) const {
    return x * x;
  }
  template <class T>
  HD T slope(T x) const {
    return T(2) * x;
  }
};

struct Abs {
  static constexpr const char *kLabel = "abs", *kBackward = "abs.backward";
  static constexpr bool kSlopeFromResult = false;
  template <class T>
  HD T value(T x) const {
    return abs_(x);
  }
  template <class T>
  HD T slope(T x) const {
    return sign_(x);
  }
};

struct Pow {
  static constexpr const char *kLabel = "pow", *kBackward = "pow.backward";
  static constexpr bool kSlopeFromResult = false;
  double exponent;
  template <class T>
  HD T value(T x) const {
    return std::pow(x, T(exponent));
  }
  template <class T>
  HD T slope(T x) const {
    if (exponent == 0) return T(0);  // x^-1 is infinite at 0
    return T(exponent) * std::pow(x, T(exponent - 1));
  }
};

struct Clamp {
  static constexpr const char *kLabel = "clamp", *kBackward = "clamp.backward";
  static constexpr bool kSlopeFromResult = false;
  double low, high;
  template <class T>
  HD T value(T x) const {
    return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
  }
  template <class T>
  HD T slope(T x) const {
    return T(x >= T(low) && x <= T(high));
  }
};

template <class T, class F>
struct Unary {
  const T* x;
  T* y;
  F f;
  HD void operator()(int64_t i) const { y[i] = f.value(x[i]); }
};

template <class T, class F>
struct UnaryBackward {
  const T *saved, *dy;
  T* dx;
  F f;
  HD void operator()(int64_t i) const { dx[i] = dy[i] * f.slope(saved[i]); }
};

template <class F>
Variable unary(const Variable& x, F f) {
  const Tensor& value = x.value();
  Tensor y = Tensor::empty_like(value);
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for(F::kLabel, value.stream(), value.size(),
                 Unary<T, F>{value.data<T>(), y.mutable_data<T>(), f}, value.size(),
                 int64_t(2 * value.bytes()));
  });
  const Tensor saved = F::kSlopeFromResult ? y : value;
  return record(F::kLabel, y, {x}, [saved, f](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::empty_like(dy);
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for(F::kBackward, dy.stream(), dy.size(),
                   UnaryBackward<T, F>{saved.data<T>(), dy.data<T>(), d.mutable_data<T>(), f},
                   2 * dy.size(), int64_t(3 * dy.bytes()));
    });
    dx.give(0, d);
  });
}

// ---- Two operands. value(a, b) and, where they depend on a and b, its partial derivatives.

struct Add {
  static constexpr const char* kLabel = "add";
  template <class T>
  HD T value(T a, T b) const {
    return a + b;
  }
};

struct Sub {
  static constexpr const char* kLabel = "sub";
  template <class T>
  HD T value(T a, T b) const {
    return a - b;
  }
};

struct Mul {
  static constexpr const char *kLabel = "mul", *kBackward = "mul.backward";
  template <class T>
  HD T value(T a, T b) const {
    return a * b;
  }
  template <class T>
  HD T slope_a(T, T b) const {
    return b;
  }
  template <class T>
  HD T slope_b(T a, T) const {
    return a;
  }
};

struct Div {
  static constexpr const char *kLabel = "div", *kBackward = "div.backward";
  template <class T>
  HD T value(T a, T b) const {
    return a / b;
  }
  template <class T>
  HD T slope_a(T, T b) const {
    return T(1) / b;
  }
  template <class T>
  HD T slope_b(T a, T b) const {
    return -a / (b * b);
  }
};

// kSign 1: the larger of the two; -1: the smaller. A NaN wins.
template <int kSign>
struct Extreme {
  static constexpr const char* kLabel = kSign > 0 ? "maximum" : "minimum";
  static constexpr const char* kBackward = kSign > 0 ? "maximum.backward" : "minimum.backward";
  template <class T>
  HD T value(T a, T b) const {
    return (kSign > 0 ? a >= b : a <= b) || a != a ? a : b;
  }
  template <class T>
  HD T slope_a(T a, T b) const {
    return a == b ? T(0.5) : T(value(a, b) == a);
  }
  template <class T>
  HD T slope_b(T a, T b) const {
    return T(1) - slope_a(a, b);
  }
};

template <class T, class F>
struct Binary {
  BroadcastPlan plan;
  const T *a, *b;
  T* y;
  F f;
  HD void operator()(Block g, int64_t block) const {
    const auto piece = plan.piece(block);
    for (int64_t i = g.rank(); i < piece.count; i += g.size())
      y[piece.y + i] = f.value(a[piece.a + i * plan.step_a], b[piece.b + i * plan.step_b]);
  }
};

// The gradient of operand a (kFirst) or b before it is summed to that operand's shape.
template <class T, class F, bool kFirst>
struct BinaryBackward {
  BroadcastPlan plan;
  const T *a, *b, *dy;
  T* d;
  F f;
  HD void operator()(Block g, int64_t block) const {
    const auto piece = plan.piece(block);
    for (int64_t i = g.rank(); i < piece.count; i += g.size()) {
      const T u = a[piece.a + i * plan.step_a], v = b[piece.b + i * plan.step_b];
      const T slope = kFirst ? f.slope_a(u, v) : f.slope_b(u, v);
      d[piece.y + i] = dy[piece.y + i] * slope;
    }
  }
};

template <class F, bool kFirst>
Tensor operand_gradient(const Tensor& a, const Tensor& b, const Tensor& dy, F f) {
  Tensor d = Tensor::empty_like(dy);
  const BroadcastPlan plan(a.shape(), b.shape(), dy.shape());
  dispatch_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_blocks(F::kBackward, dy.stream(), plan.blocks(), plan.threads(), 0,
                    BinaryBackward<T, F, kFirst>{plan, a.data<T>(), b.data<T>(), dy.data<T>(),
                                                 d.mutable_data<T>(), f},
                    2 * dy.size(), int64_t(a.bytes() + b.bytes() + 2 * dy.bytes()));
  });
  return sum_to(d, kFirst ? a.shape() : b.shape());
}

template <class F>
Tensor binary_value(const Tensor& a, const Tensor& b, F f) {
  check(a.dtype() == b.dtype() && a.device() == b.device(), F::kLabel, ": ", a, " and ", b,
        " must agree in type and device");
  Tensor y = Tensor::empty(broadcast_shape(a.shape(), b.shape(), F::kLabel), a.dtype(), a.device());
  const BroadcastPlan plan(a.shape(), b.shape(), y.shape());
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_blocks(F::kLabel, y.stream(), plan.blocks(), plan.threads(), 0,
                    Binary<T, F>{plan, a.data<T>(), b.data<T>(), y.mutable_data<T>(), f}, y.size(),
                    int64_t(a.bytes() + b.bytes() + y.bytes()));
  });
  return y;
}

template <class F>
Variable binary(const Variable& a, const Variable& b, F f) {
  return record(F::kLabel, binary_value(a.value(), b.value(), f), {a, b},
                [a = a.value(), b = b.value(), f](const Tensor& dy, Gradients& dx) {
                  if (dx.needs(0)) dx.give(0, operand_gradient<F, true>(a, b, dy, f));
                  if (dx.needs(1)) dx.give(1, operand_gradient<F, false>(a, b, dy, f));
                });
}

}  // namespace

// Sums keep no operand for the backward sweep.
Variable add(const Variable& a, const Variable& b) {
  return record("add", binary_value(a.value(), b.value(), Add{}), {a, b},
                [a = a.shape(), b = b.shape()](const Tensor& dy, Gradients& dx) {
                  if (dx.needs(0)) dx.give(0, sum_to(dy, a));
                  if (dx.needs(1)) dx.give(1, sum_to(dy, b));
                });
}

Variable sub(const Variable& a, const Variable& b) {
  return record("sub", binary_value(a.value(), b.value(), Sub{}), {a, b},
                [a = a.shape(), b = b.shape()](const Tensor& dy, Gradients& dx) {
                  if (dx.needs(0)) dx.give(0, sum_to(dy, a));
                  if (dx.needs(1)) dx.give(1, neg(sum_to(dy, b)).value());
                });
}

Variable mul(const Variable& a, const Variable& b) { return binary(a, b, Mul{}); }
Variable div(const Variable& a, const Variable& b) { return binary(a, b, Div{}); }
Variable maximum(const Variable& a, const Variable& b) { return binary(a, b, Extreme<1>{}); }
Variable minimum(const Variable& a, const Variable& b) { return binary(a, b, Extreme<-1>{}); }

Variable neg(const Variable& x) { return unary(x, Scale{-1}); }
Variable scale(const Variable& x, double factor) { return unary(x, Scale{factor}); }
Variable shift(const Variable& x, double term) { return unary(x, Shift{term}); }
Variable relu(const Variable& x) { return unary(x, Relu{}); }
Variable sigmoid(const Variable& x) { return unary(x, Sigmoid{}); }
Variable exp(const Variable& x) { return unary(x, Exp{}); }
Variable log(const Variable& x) { return unary(x, Log{}); }
Variable sqrt(const Variable& x) { return unary(x, Sqrt{}); }
Variable square(const Variable& x) { return unary(x, Square{}); }
Variable abs(const Variable& x) { return unary(x, Abs{}); }
Variable pow(const Variable& x, double exponent) { return unary(x, Pow{exponent}); }
Variable clamp(const Variable& x, double low, double high) {
  check(low <= high, "clamp: from ", low, " to ", high, "; expected low <= high");
  return unary(x, Clamp{low, high});
}

}  // namespace bbam
