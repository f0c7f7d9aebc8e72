// Matrix product on the CPU by OpenBLAS.
//
// OpenBLAS may split a product by the number of threads, which moves rounding. We split it
// ourselves into pieces that depend on the extents alone and let OpenBLAS work on each in one
// thread, so the bytes are the same for any thread count.
#include <cblas.h>

#include <algorithm>

#include "tensor/blas.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

struct Piece {
  int64_t row, rows, col, cols;
};

// Cuts the longer side of c into at most 8 pieces of at least 32 rows or columns.
Piece piece_of(int64_t index, int64_t pieces, int64_t m, int64_t n) {
  const int64_t side = std::max(m, n);
  const int64_t step = (side + pieces - 1) / pieces, begin = std::min(index * step, side);
  const int64_t length = std::min(step, side - begin);
  return m >= n ? Piece{begin, length, 0, n} : Piece{0, m, begin, length};
}

void gemm_piece(const float* a, const float* b, float* c, int lda, int ldb, int ldc, const Piece& p,
                int64_t k, const GemmSpec& s) {
  cblas_sgemm(CblasRowMajor, s.transpose_a ? CblasTrans : CblasNoTrans,
              s.transpose_b ? CblasTrans : CblasNoTrans, int(p.rows), int(p.cols), int(k),
              float(s.alpha), a, lda, b, ldb, float(s.beta), c, ldc);
}
void gemm_piece(const double* a, const double* b, double* c, int lda, int ldb, int ldc,
                const Piece& p, int64_t k, const GemmSpec& s) {
  cblas_dgemm(CblasRowMajor, s.transpose_a ? CblasTrans : CblasNoTrans,
              s.transpose_b ? CblasTrans : CblasNoTrans, int(p.rows), int(p.cols), int(k), s.alpha,
              a, lda, b, ldb, s.beta, c, ldc);
}

class OpenBlas : public Blas {
 public:
  OpenBlas() { openblas_set_num_threads(1); }
  const char* name() const override { return "OpenBLAS"; }

  void gemm(const Tensor& a, const Tensor& b, Tensor& c, const GemmSpec& spec) override {
    const GemmExtents extents = check_gemm(a, b, c, spec);
    if (c.size() == 0) return;
    if (extents.k == 0) {  // OpenBLAS wants a leading dimension of at least 1
      if (spec.beta == 0)
        c.fill(0);
      else
        reference_blas().gemm(a, b, c, spec);
      return;
    }
    dispatch_float(a.dtype(), [&](auto t) { run<decltype(t)>(a, b, c, spec, extents); });
  }

 private:
  template <class T>
  void run(const Tensor& a, const Tensor& b, Tensor& c, const GemmSpec& spec,
           const GemmExtents& e) {
    const int64_t flops = 2 * e.m * e.n * e.k;
    const ProfileScope scope("gemm", c.stream(), flops, int64_t(a.bytes() + b.bytes() + c.bytes()));
    const int64_t side = std::max(e.m, e.n);
    const int64_t pieces = flops < 1 << 18 ? 1 : std::clamp<int64_t>(side / 32, 1, 8);
    const T *pa = a.data<T>(), *pb = b.data<T>();
    T* pc = c.mutable_data<T>();
    const auto lda = a.dim(1), ldb = b.dim(1), ldc = c.dim(1);
#pragma omp parallel for schedule(dynamic) if (pieces > 1)
    for (int64_t i = 0; i < pieces; ++i) {
      const Piece p = piece_of(i, pieces, e.m, e.n);
      if (p.rows == 0 || p.cols == 0) continue;
      gemm_piece(pa + p.row * (spec.transpose_a ? 1 : lda),
                 pb + p.col * (spec.transpose_b ? ldb : 1), pc + p.row * ldc + p.col, int(lda),
                 int(ldb), int(ldc), p, e.k, spec);
    }
  }
};

}  // namespace

Blas& cpu_blas() {
  static OpenBlas instance;
  return instance;
}

}  // namespace bbam
