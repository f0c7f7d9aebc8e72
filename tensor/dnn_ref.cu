// Convolution in plain loops, one output element per call: the oracle of oneDNN and cuDNN, and the
// implementation in double, on either device. Sums are kept in double.
#include "tensor/dnn.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// The extents that the three directions share.
struct Geometry {
  int64_t h, w, cin, ho, wo, cout, kh, kw;
  int stride, padding, dilation;

  // Input row (or column) that output `o` reads through tap `k`; may lie outside the image.
  HD int64_t source(int64_t o, int64_t k) const { return o * stride - padding + k * dilation; }
  // Output position that reads input `i` through tap `k`, or -1.
  HD int64_t target(int64_t i, int64_t k, int64_t outputs) const {
    const int64_t shifted = i + padding - k * dilation;
    if (shifted < 0 || shifted % stride != 0) return -1;
    return shifted / stride < outputs ? shifted / stride : -1;
  }
};

Geometry geometry(const Shape& x, const Shape& w, const Shape& y, const Conv2dSpec& s) {
  return {x[1], x[2], x[3], y[1], y[2], y[3], w[1], w[2], s.stride, s.padding, s.dilation};
}

template <class T>
struct Forward {
  Geometry g;
  const T *x, *w, *bias, *residual;
  T* y;
  bool relu;
  HD void operator()(int64_t i) const {
    const int64_t o = i % g.cout, q = i / g.cout % g.wo, p = i / g.cout / g.wo % g.ho;
    const int64_t n = i / g.cout / g.wo / g.ho;
    double sum = bias ? double(bias[o]) : 0;
    for (int64_t r = 0; r < g.kh; ++r) {
      const int64_t row = g.source(p, r);
      if (row < 0 || row >= g.h) continue;
      for (int64_t s = 0; s < g.kw; ++s) {
        const int64_t col = g.source(q, s);
        if (col < 0 || col >= g.w) continue;
        const T* pixel = x + ((n * g.h + row) * g.w + col) * g.cin;
        const T* tap = w + ((o * g.kh + r) * g.kw + s) * g.cin;
        for (int64_t c = 0; c < g.cin; ++c) sum += double(pixel[c]) * double(tap[c]);
      }
    }
    if (residual) sum += double(residual[i]);
    y[i] = T(relu && sum < 0 ? 0 : sum);
  }
};

template <class T>
struct BackwardData {
  Geometry g;
  const T *dy, *w;
  T* dx;
  HD void operator()(int64_t i) const {
    const int64_t c = i % g.cin, col = i / g.cin % g.w, row = i / g.cin / g.w % g.h;
    const int64_t n = i / g.cin / g.w / g.h;
    double sum = 0;
    for (int64_t r = 0; r < g.kh; ++r) {
      const int64_t p = g.target(row, r, g.ho);
      if (p < 0) continue;
      for (int64_t s = 0; s < g.kw; ++s) {
        const int64_t q = g.target(col, s, g.wo);
        if (q < 0) continue;
        const T* pixel = dy + ((n * g.ho + p) * g.wo + q) * g.cout;
        for (int64_t o = 0; o < g.cout; ++o)
          sum += double(pixel[o]) * double(w[((o * g.kh + r) * g.kw + s) * g.cin + c]);
      }
    }
    dx[i] = T(sum);
  }
};

template <class T>
struct BackwardFilter {
  Geometry g;
  int64_t n;
  const T *x, *dy;
  T* dw;
  HD void operator()(int64_t i) const {
    const int64_t c = i % g.cin, s = i / g.cin % g.kw, r = i / g.cin / g.kw % g.kh;
    const int64_t o = i / g.cin / g.kw / g.kh;
    double sum = 0;
    for (int64_t b = 0; b < n; ++b)
      for (int64_t p = 0; p < g.ho; ++p) {
        const int64_t row = g.source(p, r);
        if (row < 0 || row >= g.h) continue;
        for (int64_t q = 0; q < g.wo; ++q) {
          const int64_t col = g.source(q, s);
          if (col < 0 || col >= g.w) continue;
          sum += double(x[((b * g.h + row) * g.w + col) * g.cin + c]) *
                 double(dy[((b * g.ho + p) * g.wo + q) * g.cout + o]);
        }
      }
    dw[i] = T(sum);
  }
};

class ReferenceDnn : public Dnn {
 public:
  const char* name() const override { return "reference"; }

  void conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& e, const Conv2dSpec& spec,
              Tensor& y) override {
    check_conv2d(x, w, y, spec, e);
    dispatch_float(x.dtype(), [&](auto t) {
      using T = decltype(t);
      const T* bias = e.bias.defined() ? e.bias.data<T>() : nullptr;
      const T* residual = e.residual.defined() ? e.residual.data<T>() : nullptr;
      parallel_for("conv2d.reference", y.stream(), y.size(),
                   Forward<T>{geometry(x.shape(), w.shape(), y.shape(), spec), x.data<T>(),
                              w.data<T>(), bias, residual, y.mutable_data<T>(), e.relu},
                   conv2d_flops(y.shape(), w.shape()));
    });
  }

  void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                            Tensor& dx) override {
    check_conv2d(dx, w, dy, spec);
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for("conv2d.reference.dx", dx.stream(), dx.size(),
                   BackwardData<T>{geometry(dx.shape(), w.shape(), dy.shape(), spec), dy.data<T>(),
                                   w.data<T>(), dx.mutable_data<T>()},
                   conv2d_flops(dy.shape(), w.shape()));
    });
  }

  void conv2d_backward_filter(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              Tensor& dw) override {
    check_conv2d(x, dw, dy, spec);
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for("conv2d.reference.dw", dw.stream(), dw.size(),
                   BackwardFilter<T>{geometry(x.shape(), dw.shape(), dy.shape(), spec), x.dim(0),
                                     x.data<T>(), dy.data<T>(), dw.mutable_data<T>()},
                   conv2d_flops(dy.shape(), dw.shape()));
    });
  }
};

}  // namespace

Dnn& reference_dnn() {
  static ReferenceDnn instance;
  return instance;
}

}  // namespace bbam
