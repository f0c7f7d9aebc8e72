#include "layers/reduce.h"

#include "layers/broadcast.h"
#include "layers/elementwise.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// x: (outer, n, inner) -> y, index: (outer, inner)
template <class T>
struct Max {
  const T* x;
  T* y;
  int64_t* index;
  int64_t n, inner;
  HD void operator()(int64_t i) const {
    const T* column = x + i / inner * n * inner + i % inner;
    int64_t best = 0;
    for (int64_t k = 1; k < n; ++k) {
      const T value = column[k * inner], top = column[best * inner];
      if (value > top || (value != value && top == top)) best = k;
    }
    y[i] = column[best * inner];
    index[i] = best;
  }
};

template <class T>
struct MaxBackward {
  const T* dy;
  const int64_t* index;
  T* dx;
  int64_t n, inner;
  HD void operator()(int64_t i) const {
    const int64_t column = i / (n * inner) * inner + i % inner;
    dx[i] = index[column] == i / inner % n ? dy[column] : T(0);
  }
};

Shape with_extent_1(Shape shape, int axis) {
  shape[axis] = 1;
  return shape;
}

Shape without(const Shape& shape, int axis) {
  std::vector<int64_t> extents = shape.to_vector();
  extents.erase(extents.begin() + axis);
  return Shape(extents);
}

// The sum over what `kept` lacks, given the shape `result` (kept, perhaps without an axis of 1).
Variable sum_over(const char* name, const Variable& x, const Shape& kept, const Shape& result) {
  const Shape whole = x.shape();
  return record(name, sum_to(x.value(), kept).reshape(result), {x},
                [whole, kept](const Tensor& dy, Gradients& dx) {
                  dx.give(0, broadcast_to(dy.reshape(kept), whole));
                });
}

}  // namespace

Variable sum(const Variable& x) { return sum_over("sum", x, {}, {}); }
Variable mean(const Variable& x) { return scale(sum(x), 1.0 / double(x.value().size())); }

Variable sum(const Variable& x, int axis, bool keep) {
  axis = positive_axis(x.shape(), axis, "sum");
  const Shape kept = with_extent_1(x.shape(), axis);
  return sum_over("sum", x, kept, keep ? kept : without(x.shape(), axis));
}

Variable mean(const Variable& x, int axis, bool keep) {
  return scale(sum(x, axis, keep), 1.0 / double(x.dim(axis)));
}

Variable max(const Variable& x, int axis, bool keep) {
  const Tensor& value = x.value();
  axis = positive_axis(value.shape(), axis, "max");
  const int64_t n = value.dim(axis);
  check(n > 0, "max over axis ", axis, " of ", value, ", which is empty");
  const int64_t inner = view_of(value.shape(), axis).inner;
  const Shape shape = keep ? with_extent_1(value.shape(), axis) : without(value.shape(), axis);
  Tensor y = Tensor::empty(shape, value.dtype(), value.device());
  Tensor index = Tensor::empty(shape, DType::kI64, value.device());
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for(
        "max", value.stream(), y.size(),
        Max<T>{value.data<T>(), y.mutable_data<T>(), index.mutable_data<int64_t>(), n, inner},
        value.size(), int64_t(value.bytes()));
  });
  const Shape whole = value.shape();
  return record("max", y, {x}, [index, whole, n, inner](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::empty(whole, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for(
          "max.backward", dy.stream(), d.size(),
          MaxBackward<T>{dy.data<T>(), index.data<int64_t>(), d.mutable_data<T>(), n, inner}, 0,
          int64_t(d.bytes() + dy.bytes()));
    });
    dx.give(0, d);
  });
}

}  // namespace bbam
