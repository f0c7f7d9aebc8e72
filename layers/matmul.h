// Matrix products with gradients, through the vendor interface of tensor/blas.h; f32 and f64.
#pragma once
#include "autograd/variable.h"

namespace bbam {

// op(a) op(b), each a matrix that is transposed when asked: (M, K) (K, N) -> (M, N).
Variable matmul(const Variable& a, const Variable& b, bool transpose_a = false,
                bool transpose_b = false);

// x w^T + bias; x: (N, in), w: (out, in), bias: (out) or undefined -> (N, out).
Variable linear(const Variable& x, const Variable& w, const Variable& bias = {});

}  // namespace bbam
