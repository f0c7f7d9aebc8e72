#include "layers/broadcast.h"

#include <algorithm>

#include "tensor/parallel.h"

namespace bbam {
namespace {

// Extent of `shape` at axis `axis` of a result with `rank` axes.
int64_t aligned_extent(const Shape& shape, int axis, int rank) {
  const int own = axis - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}

template <class T>
struct Repeat {
  BroadcastPlan plan;
  const T* x;
  T* y;
  HD void operator()(Block g, int64_t block) const {
    const auto piece = plan.piece(block);
    for (int64_t i = g.rank(); i < piece.count; i += g.size())
      y[piece.y + i] = x[piece.a + i * plan.step_a];
  }
};

// x: (outer, n) -> y: (outer, pieces), each the sum of kPiece neighbours in eight lanes.
template <class T>
struct SumNeighbours {
  static constexpr int64_t kPiece = 4096;
  const T* x;
  T* y;
  int64_t n, pieces;
  HD void operator()(Block g, int64_t block) const {
    const int64_t begin = block % pieces * kPiece;
    const int64_t count = min_(int64_t(kPiece), n - begin), step = g.size();
    const T* from = x + block / pieces * n + begin;
    T lanes[8] = {};
    int64_t i = g.rank();
    for (; i + 7 * step < count; i += 8 * step)
      for (int lane = 0; lane < 8; ++lane) lanes[lane] += from[i + lane * step];
    for (; i < count; i += step) lanes[0] += from[i];
    const T mine = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                   ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    const T sum = g.reduce(mine, Plus{});
    if (g.rank() == 0) y[block] = sum;
  }
};

// x: (outer, n, inner) -> y: (outer, pieces, inner), each the sum of kPiece rows; kTile columns per
// block, in scratch.
template <class T>
struct SumRows {
  static constexpr int64_t kPiece = 256, kTile = 512;
  const T* x;
  T* y;
  int64_t n, inner, pieces, tiles;
  HD void operator()(Block g, int64_t block) const {
    const int64_t column = block % tiles * kTile, columns = min_(int64_t(kTile), inner - column);
    const int64_t target = block / tiles, outer = target / pieces;
    const int64_t begin = target % pieces * kPiece, end = min_(begin + kPiece, n);
    T* sums = g.scratch<T>();
    for (int64_t j = g.rank(); j < columns; j += g.size()) sums[j] = T(0);
    for (int64_t row = begin; row < end; ++row) {
      const T* from = x + (outer * n + row) * inner + column;
      for (int64_t j = g.rank(); j < columns; j += g.size()) sums[j] += from[j];
    }
    for (int64_t j = g.rank(); j < columns; j += g.size()) y[target * inner + column + j] = sums[j];
  }
};

int64_t pieces_of(int64_t count, int64_t piece) {
  return std::max<int64_t>(1, (count + piece - 1) / piece);
}

// x seen as (outer, n, inner) -> (outer, inner); each round leaves one value per piece.
Tensor sum_middle(Tensor x, int64_t outer, int64_t n, int64_t inner) {
  const bool is_row = inner == 1;
  while (true) {
    Tensor y;
    int64_t pieces = 0;
    dispatch_float(x.dtype(), [&](auto t) {
      using T = decltype(t);
      pieces = pieces_of(n, is_row ? SumNeighbours<T>::kPiece : SumRows<T>::kPiece);
      y = Tensor::empty({outer, pieces, inner}, x.dtype(), x.device());
      if (is_row) {
        const SumNeighbours<T> kernel{x.data<T>(), y.mutable_data<T>(), n, pieces};
        parallel_blocks("sum", x.stream(), outer * pieces, n >= 128 ? 128 : 32, 0, kernel, x.size(),
                        int64_t(x.bytes()));
      } else {
        const int64_t tiles = (inner + SumRows<T>::kTile - 1) / SumRows<T>::kTile;
        const SumRows<T> kernel{x.data<T>(), y.mutable_data<T>(), n, inner, pieces, tiles};
        parallel_blocks("sum.rows", x.stream(), outer * pieces * tiles, inner >= 128 ? 128 : 32,
                        sizeof(T) * SumRows<T>::kTile, kernel, x.size(), int64_t(x.bytes()));
      }
    });
    if (pieces == 1) return y;
    x = y;
    n = pieces;
  }
}

}  // namespace

AxisView view_of(const Shape& shape, int axis) {
  AxisView view;
  for (int i = 0; i < axis; ++i) view.outer *= shape[i];
  view.extent = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) view.inner *= shape[i];
  return view;
}

int positive_axis(const Shape& shape, int axis, const char* op) {
  check(axis >= -shape.rank() && axis < shape.rank(), op, " along axis ", axis, " of shape ",
        shape);
  return axis < 0 ? axis + shape.rank() : axis;
}

Shape broadcast_shape(const Shape& a, const Shape& b, const char* op) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> extents;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t ea = aligned_extent(a, axis, rank), eb = aligned_extent(b, axis, rank);
    check(ea == eb || ea == 1 || eb == 1, op, ": shapes ", a, " and ", b,
          " do not broadcast together; counted from the last, axes must agree or be 1");
    extents.push_back(ea == 1 ? eb : ea);
  }
  return Shape(extents);
}

BroadcastPlan::BroadcastPlan(const Shape& a, const Shape& b, const Shape& result) {
  struct Axis {
    int64_t extent, stride_a, stride_b;
  };
  // From the last axis to the first; an axis is merged into the one behind it when both operands
  // run through the two without a break.
  std::vector<Axis> axes;
  int64_t dense_a = 1, dense_b = 1;  // strides of the operands' own layouts
  for (int i = result.rank() - 1; i >= 0; --i) {
    const int64_t extent_a = aligned_extent(a, i, result.rank());
    const int64_t extent_b = aligned_extent(b, i, result.rank());
    const Axis axis{result[i], extent_a == 1 ? 0 : dense_a, extent_b == 1 ? 0 : dense_b};
    dense_a *= extent_a;
    dense_b *= extent_b;
    if (axis.extent == 1) continue;
    if (!axes.empty() && axis.stride_a == axes.back().stride_a * axes.back().extent &&
        axis.stride_b == axes.back().stride_b * axes.back().extent) {
      axes.back().extent *= axis.extent;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) return;
  length = axes[0].extent;
  step_a = axes[0].stride_a;
  step_b = axes[0].stride_b;
  pieces = (length + kPiece - 1) / kPiece;
  for (size_t i = 1; i < axes.size(); ++i, ++outer_axes) {
    extent[outer_axes] = axes[i].extent;
    stride_a[outer_axes] = axes[i].stride_a;
    stride_b[outer_axes] = axes[i].stride_b;
    rows *= axes[i].extent;
  }
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  check(broadcast_shape(x.shape(), shape, "broadcast_to") == shape, "broadcast_to: ", x.shape(),
        " cannot be repeated to ", shape);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const BroadcastPlan plan(x.shape(), x.shape(), shape);
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_blocks("broadcast_to", x.stream(), plan.blocks(), plan.threads(), 0,
                    Repeat<T>{plan, x.data<T>(), y.mutable_data<T>()}, 0,
                    int64_t(x.bytes() + y.bytes()));
  });
  return y;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  check(broadcast_shape(shape, x.shape(), "sum_to") == x.shape(), "sum_to: ", x.shape(),
        " is not a repetition of ", shape);
  const int rank = x.rank();
  const auto is_summed = [&](int axis) {
    return aligned_extent(shape, axis, rank) == 1 && x.shape()[axis] != 1;
  };
  Tensor y = x;
  int64_t inner = 1;  // what is left of the axes behind
  for (int last = rank - 1; last >= 0;) {
    int64_t extent = x.shape()[last];
    int first = last;  // neighbouring axes that are summed go together
    while (is_summed(last) && first > 0 && is_summed(first - 1)) extent *= x.shape()[--first];
    if (is_summed(last)) {
      int64_t outer = 1;
      for (int axis = 0; axis < first; ++axis) outer *= x.shape()[axis];
      y = sum_middle(y, outer, extent, inner);
    } else {
      inner *= extent;
    }
    last = first - 1;
  }
  return y.reshape(shape);
}

}  // namespace bbam
