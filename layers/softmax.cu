#include "layers/softmax.h"

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// One block per row of `classes` values; kLog: the logarithm.
template <class T, bool kLog>
struct Softmax {
  const T* x;
  T* y;
  int64_t classes;
  HD void operator()(Block g, int64_t row) const {
    const T* from = x + row * classes;
    T* to = y + row * classes;
    T top = from[0];
    for (int64_t c = g.rank(); c < classes; c += g.size()) top = max_(top, from[c]);
    top = g.reduce(top, Larger{});
    T sum = T(0);
    for (int64_t c = g.rank(); c < classes; c += g.size()) sum += std::exp(from[c] - top);
    sum = g.reduce(sum, Plus{});
    const T log_sum = std::log(sum);
    for (int64_t c = g.rank(); c < classes; c += g.size()) {
      const T shifted = from[c] - top;
      to[c] = kLog ? shifted - log_sum : std::exp(shifted) / sum;
    }
  }
};

// softmax:     dx = y (dy - <dy, y>)
// log_softmax: dx = dy - exp(y) sum(dy)
template <class T, bool kLog>
struct SoftmaxBackward {
  const T *y, *dy;
  T* dx;
  int64_t classes;
  HD void operator()(Block g, int64_t row) const {
    const int64_t begin = row * classes, end = begin + classes;
    T sum = T(0);
    for (int64_t i = begin + g.rank(); i < end; i += g.size()) sum += kLog ? dy[i] : dy[i] * y[i];
    sum = g.reduce(sum, Plus{});
    for (int64_t i = begin + g.rank(); i < end; i += g.size())
      dx[i] = kLog ? dy[i] - std::exp(y[i]) * sum : y[i] * (dy[i] - sum);
  }
};

template <bool kLog>
Variable softmax_op(const char* name, const Variable& x) {
  const Tensor& value = x.value();
  check(value.rank() >= 1, name, " of ", value, "; expected at least one axis");
  const int64_t classes = value.dim(-1), rows = classes > 0 ? value.size() / classes : 0;
  const int threads = classes >= 128 ? 128 : 32;
  Tensor y = Tensor::empty_like(value);
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_blocks("softmax", value.stream(), rows, threads, 0,
                    Softmax<T, kLog>{value.data<T>(), y.mutable_data<T>(), classes},
                    4 * value.size(), int64_t(2 * value.bytes()));
  });
  return record(name, y, {x}, [y, classes, rows, threads](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::empty_like(dy);
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      const SoftmaxBackward<T, kLog> kernel{y.data<T>(), dy.data<T>(), d.mutable_data<T>(),
                                            classes};
      parallel_blocks("softmax.backward", dy.stream(), rows, threads, 0, kernel, 4 * dy.size(),
                      int64_t(3 * dy.bytes()));
    });
    dx.give(0, d);
  });
}

}  // namespace

Variable softmax(const Variable& x) { return softmax_op<false>("softmax", x); }
Variable log_softmax(const Variable& x) { return softmax_op<true>("log_softmax", x); }

}  // namespace bbam
