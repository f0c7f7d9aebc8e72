#include "layers/matmul.h"

#include "layers/broadcast.h"
#include "tensor/blas.h"

namespace bbam {
namespace {

Tensor product(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  check(a.rank() == 2 && b.rank() == 2, "product of ", a, " and ", b, "; expected two matrices");
  Tensor c = Tensor::empty({a.dim(transpose_a ? 1 : 0), b.dim(transpose_b ? 0 : 1)}, a.dtype(),
                           a.device());
  blas(c).gemm(a, b, c, {.transpose_a = transpose_a, .transpose_b = transpose_b});
  return c;
}

}  // namespace

Variable matmul(const Variable& a, const Variable& b, bool transpose_a, bool transpose_b) {
  const Tensor va = a.value(), vb = b.value();
  return record("matmul", product(va, vb, transpose_a, transpose_b), {a, b},
                [=](const Tensor& dy, Gradients& dx) {
                  // For y = A B: dA = dy B^T and dB = A^T dy; the transpose of that where the
                  // operand went in transposed.
                  if (dx.needs(0))
                    dx.give(0, transpose_a ? product(vb, dy, transpose_b, true)
                                           : product(dy, vb, false, !transpose_b));
                  if (dx.needs(1))
                    dx.give(1, transpose_b ? product(dy, va, true, transpose_a)
                                           : product(va, dy, !transpose_a, false));
                });
}

Variable linear(const Variable& x, const Variable& w, const Variable& bias) {
  check(x.rank() == 2 && w.rank() == 2 && x.dim(1) == w.dim(1), "linear: x is ", x.value(),
        " and w ", w.value(), "; expected (N, in) and (out, in)");
  const Tensor input = x.value(), weight = w.value();
  if (!bias.defined()) return matmul(x, w, false, true);
  check_shape(bias.value(), {w.dim(0)}, "linear: bias");
  // The product is added to the rows of biases.
  Tensor y = broadcast_to(bias.value(), {x.dim(0), w.dim(0)});
  blas(y).gemm(input, weight, y, {.transpose_b = true, .beta = 1});
  return record("linear", y, {x, w, bias}, [=](const Tensor& dy, Gradients& dx) {
    if (dx.needs(0)) dx.give(0, product(dy, weight, false, false));
    if (dx.needs(1)) dx.give(1, product(dy, input, true, false));
    if (dx.needs(2)) dx.give(2, sum_to(dy, {dy.dim(1)}));
  });
}

}  // namespace bbam
