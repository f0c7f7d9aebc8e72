// NumPy's broadcasting and the sums that undo it; what the two-operand ops and reductions stand on.
//
// Shapes are aligned at their last axis; an axis that is missing or of extent 1 is repeated.
#pragma once
#include "tensor/math.h"
#include "tensor/tensor.h"

namespace bbam {

// A tensor seen from one axis: (outer, extent, inner).
struct AxisView {
  int64_t outer = 1, extent = 1, inner = 1;
};
AxisView view_of(const Shape& shape, int axis);  // axis >= 0

// `axis` counted from the front; throws Error naming `op` when there is no such axis.
int positive_axis(const Shape& shape, int axis, const char* op);

// The common shape; throws Error naming `op` when an axis differs and neither extent is 1.
Shape broadcast_shape(const Shape& a, const Shape& b, const char* op);

// A dense copy of x (f32 or f64) repeated to `shape`.
Tensor broadcast_to(const Tensor& x, const Shape& shape);

// The adjoint of broadcast_to: the sum over the axes along which `shape` was repeated. x itself
// (sharing storage) when there is none. Summed by a tree over pieces of fixed size: the same bytes
// for any thread count. A sum over no elements is 0.
Tensor sum_to(const Tensor& x, const Shape& shape);

// How kernels walk two operands a and b that are broadcast to a dense result: runs of the result
// along which each operand either advances by one or stays, cut into pieces of kPiece elements.
// One block of parallel_blocks per piece.
struct BroadcastPlan {
  static constexpr int64_t kPiece = 4096;

  struct Piece {
    int64_t a, b, y;  // where it begins in each
    int64_t count;
  };

  BroadcastPlan(const Shape& a, const Shape& b, const Shape& result);

  int64_t blocks() const { return rows * pieces; }
  int threads() const { return length >= 128 ? 128 : 32; }
  HD Piece piece(int64_t block) const {
    const int64_t begin = block % pieces * kPiece;
    int64_t row = block / pieces;
    Piece piece{begin * step_a, begin * step_b, row * length + begin,
                min_(int64_t(kPiece), length - begin)};
    for (int axis = 0; axis < outer_axes; ++axis) {
      const int64_t k = row % extent[axis];
      row /= extent[axis];
      piece.a += k * stride_a[axis];
      piece.b += k * stride_b[axis];
    }
    return piece;
  }

  int outer_axes = 0;  // axes in front of the runs, last first; merged where possible
  int64_t extent[Shape::kMaxRank] = {}, stride_a[Shape::kMaxRank] = {},
          stride_b[Shape::kMaxRank] = {};
  int64_t rows = 1, length = 1, pieces = 1;
  int64_t step_a = 0, step_b = 0;  // 0 or 1
};

}  // namespace bbam
