#include "layers/shape_ops.h"

#include "layers/broadcast.h"
#include "tensor/algorithms.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// Copies `count` runs of `length` neighbours, one after the other every from_stride and to_stride
// elements, a piece of kPiece elements per block.
template <class T>
struct CopyRuns {
  static constexpr int64_t kPiece = 16384;
  const T* from;
  T* to;
  int64_t length, from_stride, to_stride;

  HD int64_t pieces() const { return (length + kPiece - 1) / kPiece; }
  HD void operator()(Block g, int64_t block) const {
    const int64_t run = block / pieces(), begin = block % pieces() * kPiece;
    const int64_t end = min_(begin + kPiece, length);
    for (int64_t i = begin + g.rank(); i < end; i += g.size())
      to[run * to_stride + i] = from[run * from_stride + i];
  }
};

// Copies `extent` entries along `axis`, from entry from_begin of `from` to entry to_begin of `to`.
void copy_entries(const char* label, const Tensor& from, int64_t from_begin, Tensor& to,
                  int64_t to_begin, int axis, int64_t extent) {
  const AxisView source = view_of(from.shape(), axis), target = view_of(to.shape(), axis);
  dispatch_float(from.dtype(), [&](auto t) {
    using T = decltype(t);
    const CopyRuns<T> kernel{from.data<T>() + from_begin * source.inner,
                             to.mutable_data<T>() + to_begin * source.inner, extent * source.inner,
                             source.extent * source.inner, target.extent * source.inner};
    parallel_blocks(label, from.stream(), source.outer * kernel.pieces(),
                    kernel.length >= 128 ? 128 : 32, 0, kernel, 0,
                    2 * source.outer * kernel.length * int64_t(sizeof(T)));
  });
}

// dx[row] = sum of dy[takers[k]] for k in [begin[row], begin[row + 1])
template <class T>
struct TakeRowsBackward {
  const T* dy;
  const int64_t *begin, *takers;
  T* dx;
  int64_t width;
  HD void operator()(int64_t i) const {
    const int64_t row = i / width, column = i % width;
    T sum = T(0);
    for (int64_t k = begin[row]; k < begin[row + 1]; ++k) sum += dy[takers[k] * width + column];
    dx[i] = sum;
  }
};

// Which results took each row, by a counting sort: stable, so takers[] of a row ascend.
struct Takers {
  Tensor begin, takers;
};

Takers takers_of(const std::vector<int64_t>& indices, int64_t rows, Device device) {
  std::vector<int64_t> begin(size_t(rows) + 1), takers(indices.size());
  for (int64_t row : indices) begin[size_t(row) + 1] += 1;
  for (size_t row = 0; row < size_t(rows); ++row) begin[row + 1] += begin[row];
  std::vector<int64_t> next(begin.begin(), begin.end() - 1);
  for (size_t k = 0; k < indices.size(); ++k)
    takers[size_t(next[size_t(indices[k])]++)] = int64_t(k);
  return {Tensor::from(begin).to(device), Tensor::from(takers).to(device)};
}

// x: (N, extent, width) -> y: (N, width)
template <class T>
struct TakeColumns {
  const T* x;
  const int64_t* columns;
  T* y;
  int64_t extent, width;
  HD void operator()(int64_t i) const {
    const int64_t n = i / width;
    y[i] = x[(n * extent + columns[n]) * width + i % width];
  }
};

template <class T>
struct TakeColumnsBackward {
  const T* dy;
  const int64_t* columns;
  T* dx;
  int64_t extent, width;
  HD void operator()(int64_t i) const {
    const int64_t n = i / (extent * width), column = i / width % extent;
    dx[i] = column == columns[n] ? dy[n * width + i % width] : T(0);
  }
};

// x: (rows, columns) -> y: (columns, rows)
template <class T>
struct Transpose {
  const T* x;
  T* y;
  int64_t rows, columns;
  HD void operator()(int64_t i) const { y[i] = x[i % rows * columns + i / rows]; }
};

Tensor transposed(const Tensor& x) {
  Tensor y = Tensor::empty({x.dim(1), x.dim(0)}, x.dtype(), x.device());
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("transpose", x.stream(), x.size(),
                 Transpose<T>{x.data<T>(), y.mutable_data<T>(), x.dim(0), x.dim(1)}, 0,
                 int64_t(2 * x.bytes()));
  });
  return y;
}

std::vector<int64_t> checked_indices(const Tensor& indices, int64_t count, const char* what) {
  check(indices.rank() == 1 && indices.dtype() == DType::kI64, what, " are ", indices,
        "; expected i64 of one axis");
  std::vector<int64_t> values = indices.to_vector<int64_t>();
  for (size_t k = 0; k < values.size(); ++k)
    check(values[k] >= 0 && values[k] < count, what, ": number ", k, " is ", values[k],
          "; expected 0 to ", count - 1);
  return values;
}

}  // namespace

Variable reshape(const Variable& x, const Shape& shape) {
  const Shape before = x.shape();
  return record("reshape", x.value().reshape(shape), {x},
                [before](const Tensor& dy, Gradients& dx) { dx.give(0, dy.reshape(before)); });
}

Variable concat(const std::vector<Variable>& parts, int axis) {
  check(!parts.empty(), "concat of no tensors");
  const Tensor& first = parts[0].value();
  axis = positive_axis(first.shape(), axis, "concat");
  Shape shape = first.shape();
  shape[axis] = 0;
  std::vector<int64_t> begins;
  for (const Variable& part : parts) {
    Shape expected = first.shape();
    if (part.rank() == first.rank()) expected[axis] = part.shape()[axis];
    check(part.shape() == expected && part.dtype() == first.dtype() &&
              part.device() == first.device(),
          "concat of ", first, " and ", part.value(), " along axis ", axis);
    begins.push_back(shape[axis]);
    shape[axis] += part.shape()[axis];
  }
  Tensor y = Tensor::empty(shape, first.dtype(), first.device());
  std::vector<Shape> shapes;
  for (size_t i = 0; i < parts.size(); ++i) {
    shapes.push_back(parts[i].shape());
    copy_entries("concat", parts[i].value(), 0, y, begins[i], axis, shapes[i][axis]);
  }
  return record("concat", y, parts, [shapes, begins, axis](const Tensor& dy, Gradients& dx) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (!dx.needs(i)) continue;
      Tensor d = Tensor::empty(shapes[i], dy.dtype(), dy.device());
      copy_entries("concat.backward", dy, begins[i], d, 0, axis, shapes[i][axis]);
      dx.give(i, d);
    }
  });
}

Variable slice(const Variable& x, int axis, int64_t begin, int64_t end) {
  const Shape whole = x.shape();
  axis = positive_axis(whole, axis, "slice");
  check(begin >= 0 && begin <= end && end <= whole[axis], "slice [", begin, ", ", end,
        ") along axis ", axis, " of shape ", whole);
  Shape shape = whole;
  shape[axis] = end - begin;
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  copy_entries("slice", x.value(), begin, y, 0, axis, end - begin);
  return record("slice", y, {x}, [whole, axis, begin, end](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::zeros(whole, dy.dtype(), dy.device());
    copy_entries("slice.backward", dy, 0, d, begin, axis, end - begin);
    dx.give(0, d);
  });
}

Variable pad_zeros(const Variable& x, int axis, int64_t before, int64_t after) {
  const Shape inside = x.shape();
  axis = positive_axis(inside, axis, "pad_zeros");
  check(before >= 0 && after >= 0, "pad_zeros by ", before, " and ", after);
  Shape shape = inside;
  shape[axis] += before + after;
  Tensor y = Tensor::zeros(shape, x.dtype(), x.device());
  copy_entries("pad_zeros", x.value(), 0, y, before, axis, inside[axis]);
  return record("pad_zeros", y, {x}, [inside, axis, before](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::empty(inside, dy.dtype(), dy.device());
    copy_entries("pad_zeros.backward", dy, before, d, 0, axis, inside[axis]);
    dx.give(0, d);
  });
}

Variable transpose(const Variable& x) {
  check(x.rank() == 2, "transpose of ", x.value(), "; expected a matrix");
  return record("transpose", transposed(x.value()), {x},
                [](const Tensor& dy, Gradients& dx) { dx.give(0, transposed(dy)); });
}

Variable gather_rows(const Variable& x, const Tensor& indices) {
  check(x.rank() >= 1, "gather_rows of ", x.value(), "; expected at least one axis");
  const Shape whole = x.shape();
  const std::vector<int64_t> host = checked_indices(indices, whole[0], "gather_rows: indices");
  const int64_t width = view_of(whole, 0).inner;
  const Tensor y = take_rows(x.value(), indices.to(x.device()));
  return record("gather_rows", y, {x}, [host, whole, width](const Tensor& dy, Gradients& dx) {
    const Takers takers = takers_of(host, whole[0], dy.device());
    Tensor d = Tensor::empty(whole, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      const TakeRowsBackward<T> kernel{dy.data<T>(), takers.begin.data<int64_t>(),
                                       takers.takers.data<int64_t>(), d.mutable_data<T>(), width};
      parallel_for("gather_rows.backward", dy.stream(), d.size(), kernel, dy.size(),
                   int64_t(dy.bytes() + d.bytes()));
    });
    dx.give(0, d);
  });
}

Variable gather_columns(const Variable& x, const Tensor& columns) {
  check(x.rank() >= 2 && columns.defined() && columns.size() == x.dim(0), "gather_columns of ",
        x.value(), " by ", columns, "; expected (N, C, ...) and (N)");
  const Shape whole = x.shape();
  checked_indices(columns, whole[1], "gather_columns: columns");
  const Tensor on_device = columns.to(x.device());
  std::vector<int64_t> extents = whole.to_vector();
  extents.erase(extents.begin() + 1);
  const int64_t extent = whole[1], width = view_of(whole, 1).inner;
  Tensor y = Tensor::empty(Shape(extents), x.dtype(), x.device());
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    const TakeColumns<T> kernel{x.value().data<T>(), on_device.data<int64_t>(), y.mutable_data<T>(),
                                extent, width};
    parallel_for("gather_columns", y.stream(), y.size(), kernel, 0, int64_t(2 * y.bytes()));
  });
  return record("gather_columns", y, {x},
                [on_device, whole, extent, width](const Tensor& dy, Gradients& dx) {
                  Tensor d = Tensor::empty(whole, dy.dtype(), dy.device());
                  dispatch_float(dy.dtype(), [&](auto t) {
                    using T = decltype(t);
                    const TakeColumnsBackward<T> kernel{dy.data<T>(), on_device.data<int64_t>(),
                                                        d.mutable_data<T>(), extent, width};
                    parallel_for("gather_columns.backward", dy.stream(), d.size(), kernel, 0,
                                 int64_t(dy.bytes() + d.bytes()));
                  });
                  dx.give(0, d);
                });
}

}  // namespace bbam
