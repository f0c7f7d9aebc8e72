// Moving numbers without changing them, with gradients, f32 and f64.
//
// Row and column indices are checked on the host; indices on a GPU are copied there first.
#pragma once
#include <vector>

#include "autograd/variable.h"

namespace bbam {

// Shares storage with x; one extent may be -1.
Variable reshape(const Variable& x, const Shape& shape);

// Joins along `axis`, along which alone the shapes may differ.
Variable concat(const std::vector<Variable>& parts, int axis);

// [begin, end) along `axis`.
Variable slice(const Variable& x, int axis, int64_t begin, int64_t end);

// `before` and `after` zeros around x along `axis`: what slice undoes.
Variable pad_zeros(const Variable& x, int axis, int64_t before, int64_t after);

// (M, N) -> (N, M)
Variable transpose(const Variable& x);

// y[k, ...] = x[indices[k], ...]; indices: i64 (K). The gradients of a row that was taken several
// times are summed in the order of k.
Variable gather_rows(const Variable& x, const Tensor& indices);

// y[n, ...] = x[n, columns[n], ...]; x: (N, C, ...), columns: i64 (N) -> (N, ...).
Variable gather_columns(const Variable& x, const Tensor& columns);

}  // namespace bbam
