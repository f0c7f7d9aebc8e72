// Matrix product in plain loops: the oracle of the vendor libraries, on either device.
#include "tensor/blas.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Gemm {
  const T *a, *b;
  T* c;
  int64_t n, k;
  int64_t a_row, a_col, b_row, b_col;  // strides of op(a) and op(b)
  double alpha, beta;
  HD void operator()(int64_t i) const {
    const int64_t row = i / n, col = i % n;
    double sum = 0;
    for (int64_t j = 0; j < k; ++j)
      sum += double(a[row * a_row + j * a_col]) * double(b[j * b_row + col * b_col]);
    c[i] = T(alpha * sum + (beta == 0 ? 0.0 : beta * double(c[i])));
  }
};

class ReferenceBlas : public Blas {
 public:
  const char* name() const override { return "reference"; }
  void gemm(const Tensor& a, const Tensor& b, Tensor& c, const GemmSpec& spec) override {
    const auto [m, n, k] = check_gemm(a, b, c, spec);
    const int64_t depth = k, columns = n;
    dispatch_float(a.dtype(), [&](auto t) {
      using T = decltype(t);
      const Gemm<T> kernel{a.data<T>(),
                           b.data<T>(),
                           c.mutable_data<T>(),
                           columns,
                           depth,
                           spec.transpose_a ? 1 : a.dim(1),
                           spec.transpose_a ? a.dim(1) : 1,
                           spec.transpose_b ? 1 : b.dim(1),
                           spec.transpose_b ? b.dim(1) : 1,
                           spec.alpha,
                           spec.beta};
      parallel_for("gemm.reference", c.stream(), c.size(), kernel, 2 * c.size() * depth);
    });
  }
};

}  // namespace

Blas& reference_blas() {
  static ReferenceBlas instance;
  return instance;
}

}  // namespace bbam
