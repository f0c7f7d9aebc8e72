// Matrix products: one small interface, one implementation per library (DESIGN decision 3).
#pragma once
#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace bbam {

struct GemmSpec {
  bool transpose_a = false, transpose_b = false;
  double alpha = 1, beta = 0;  // beta 0 overwrites c, whatever it held
};

class Blas {
 public:
  virtual ~Blas() = default;
  virtual const char* name() const = 0;
  // c = alpha op(a) op(b) + beta c. op(a): (M, K), op(b): (K, N), c: (M, N); all f32 or all f64 on
  // one device. Deterministic for any thread count.
  virtual void gemm(const Tensor& a, const Tensor& b, Tensor& c, const GemmSpec& spec) = 0;
};

// The implementation for `like`'s device, or the one that UseBackend asks for.
Blas& blas(const Tensor& like);

Blas& reference_blas();  // blas_ref.cu: either device
Blas& cpu_blas();        // blas_openblas.cpp
Blas& cuda_blas();       // blas_cuda.cpp (cuBLAS); blas_nocuda.cpp throws

struct GemmExtents {
  int64_t m, n, k;
};
// Extents of the product; throws Error when the operands do not fit together.
GemmExtents check_gemm(const Tensor& a, const Tensor& b, const Tensor& c, const GemmSpec& spec);

}  // namespace bbam
