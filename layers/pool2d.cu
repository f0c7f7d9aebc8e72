#include "layers/pool2d.h"

#include "layers/reduce.h"
#include "layers/shape_ops.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// What forward and backward must agree on.
struct Geometry {
  int64_t h, w, c, ho, wo;
  int kernel, stride, padding;
  bool include_pad;

  // The first and one past the last pixel of window `o` that lie in the image.
  HD int64_t begin(int64_t o) const { return max_<int64_t>(o * stride - padding, 0); }
  HD int64_t end(int64_t o, int64_t extent) const {
    return min_<int64_t>(o * stride - padding + kernel, extent);
  }
  // The windows that hold pixel i: from first to last, both included.
  HD int64_t first(int64_t i) const {
    const int64_t least = i + padding - kernel + 1;
    return least <= 0 ? 0 : (least + stride - 1) / stride;
  }
  HD int64_t last(int64_t i, int64_t outputs) const {
    return min_<int64_t>((i + padding) / stride, outputs - 1);
  }
  // What the sum over a window is divided by.
  HD int64_t divisor(int64_t p, int64_t q) const {
    if (!include_pad) return (end(p, h) - begin(p)) * (end(q, w) - begin(q));
    const int64_t rows =
        min_<int64_t>(p * stride - padding + kernel, h + padding) - (p * stride - padding);
    const int64_t cols =
        min_<int64_t>(q * stride - padding + kernel, w + padding) - (q * stride - padding);
    return rows * cols;
  }
};

Geometry geometry(const Shape& x, const Shape& y, const Pool2dSpec& s) {
  return {x[1], x[2], x[3], y[1], y[2], s.kernel, s.stride, s.padding, s.count_include_pad};
}

// One output pixel, all channels; winners hold the row-major position within the window.
template <class T>
struct MaxForward {
  Geometry g;
  const T* x;
  T* y;
  uint8_t* winners;
  HD void operator()(int64_t i) const {
    const int64_t q = i % g.wo, p = i / g.wo % g.ho, n = i / g.wo / g.ho;
    const int64_t top = p * g.stride - g.padding, left = q * g.stride - g.padding;
    bool is_first = true;
    for (int64_t row = g.begin(p); row < g.end(p, g.h); ++row)
      for (int64_t col = g.begin(q); col < g.end(q, g.w); ++col) {
        const T* pixel = x + ((n * g.h + row) * g.w + col) * g.c;
        const auto place = uint8_t((row - top) * g.kernel + (col - left));
        for (int64_t c = 0; c < g.c; ++c)
          if (is_first || pixel[c] > y[i * g.c + c]) {
            y[i * g.c + c] = pixel[c];
            winners[i * g.c + c] = place;
          }
        is_first = false;
      }
  }
};

// One input pixel, all channels: the sum over the windows that it won.
template <class T>
struct MaxBackward {
  Geometry g;
  const T* dy;
  const uint8_t* winners;
  T* dx;
  HD void operator()(int64_t i) const {
    const int64_t col = i % g.w, row = i / g.w % g.h, n = i / g.w / g.h;
    for (int64_t c = 0; c < g.c; ++c) dx[i * g.c + c] = 0;
    for (int64_t p = g.first(row); p <= g.last(row, g.ho); ++p)
      for (int64_t q = g.first(col); q <= g.last(col, g.wo); ++q) {
        const int64_t top = p * g.stride - g.padding, left = q * g.stride - g.padding;
        const auto place = uint8_t((row - top) * g.kernel + (col - left));
        const int64_t at = ((n * g.ho + p) * g.wo + q) * g.c;
        for (int64_t c = 0; c < g.c; ++c)
          if (winners[at + c] == place) dx[i * g.c + c] += dy[at + c];
      }
  }
};

template <class T>
struct AverageForward {
  Geometry g;
  const T* x;
  T* y;
  HD void operator()(int64_t i) const {
    const int64_t q = i % g.wo, p = i / g.wo % g.ho, n = i / g.wo / g.ho;
    for (int64_t c = 0; c < g.c; ++c) {
      T sum = 0;
      for (int64_t row = g.begin(p); row < g.end(p, g.h); ++row)
        for (int64_t col = g.begin(q); col < g.end(q, g.w); ++col)
          sum += x[((n * g.h + row) * g.w + col) * g.c + c];
      y[i * g.c + c] = sum / T(g.divisor(p, q));
    }
  }
};

template <class T>
struct AverageBackward {
  Geometry g;
  const T* dy;
  T* dx;
  HD void operator()(int64_t i) const {
    const int64_t col = i % g.w, row = i / g.w % g.h, n = i / g.w / g.h;
    for (int64_t c = 0; c < g.c; ++c) {
      T sum = 0;
      for (int64_t p = g.first(row); p <= g.last(row, g.ho); ++p)
        for (int64_t q = g.first(col); q <= g.last(col, g.wo); ++q)
          sum += dy[((n * g.ho + p) * g.wo + q) * g.c + c] / T(g.divisor(p, q));
      dx[i * g.c + c] = sum;
    }
  }
};

Tensor pooled(const Variable& x, const Pool2dSpec& s) {
  check(x.rank() == 4, "pooling of ", x.shape(), "; expected (N, H, W, C)");
  check(s.kernel >= 1 && s.kernel <= 15 && s.stride >= 1 && s.padding >= 0 &&
            2 * s.padding <= s.kernel,
        "pooling with kernel ", s.kernel, ", stride ", s.stride, ", padding ", s.padding,
        "; expected a kernel of 1 to 15 and a padding of at most half of it");
  const Shape y{x.dim(0), pooled_extent(x.dim(1), s), pooled_extent(x.dim(2), s), x.dim(3)};
  return Tensor::empty(y, x.dtype(), x.device());
}

int64_t positions(const Shape& s) { return s[3] > 0 ? s.size() / s[3] : 0; }

}  // namespace

int64_t pooled_extent(int64_t in, const Pool2dSpec& s) {
  const int64_t room = in + 2 * s.padding - s.kernel;
  if (room < 0) return 0;
  const int64_t extent = (room + (s.ceil_mode ? s.stride - 1 : 0)) / s.stride + 1;
  return (extent - 1) * s.stride >= in + s.padding ? extent - 1 : extent;
}

Variable max_pool2d(const Variable& x, const Pool2dSpec& spec) {
  Tensor y = pooled(x, spec);
  Tensor winners = Tensor::empty(y.shape(), DType::kU8, y.device());
  const Geometry g = geometry(x.shape(), y.shape(), spec);
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for(
        "max_pool2d", y.stream(), positions(y.shape()),
        MaxForward<T>{g, x.value().data<T>(), y.mutable_data<T>(), winners.mutable_data<uint8_t>()},
        y.size() * spec.kernel * spec.kernel, int64_t(x.value().bytes() + y.bytes()));
  });
  return record(
      "max_pool2d", y, {x}, [g, winners, shape = x.shape()](const Tensor& dy, Gradients& dx) {
        Tensor gradient = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), [&](auto t) {
          using T = decltype(t);
          parallel_for(
              "max_pool2d.backward", dy.stream(), positions(shape),
              MaxBackward<T>{g, dy.data<T>(), winners.data<uint8_t>(), gradient.mutable_data<T>()},
              0, int64_t(dy.bytes() + gradient.bytes()));
        });
        dx.give(0, gradient);
      });
}

Variable avg_pool2d(const Variable& x, const Pool2dSpec& spec) {
  Tensor y = pooled(x, spec);
  const Geometry g = geometry(x.shape(), y.shape(), spec);
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("avg_pool2d", y.stream(), positions(y.shape()),
                 AverageForward<T>{g, x.value().data<T>(), y.mutable_data<T>()},
                 y.size() * spec.kernel * spec.kernel, int64_t(x.value().bytes() + y.bytes()));
  });
  return record("avg_pool2d", y, {x}, [g, shape = x.shape()](const Tensor& dy, Gradients& dx) {
    Tensor gradient = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for("avg_pool2d.backward", dy.stream(), positions(shape),
                   AverageBackward<T>{g, dy.data<T>(), gradient.mutable_data<T>()}, 0,
                   int64_t(dy.bytes() + gradient.bytes()));
    });
    dx.give(0, gradient);
  });
}

Variable global_avg_pool(const Variable& x) {
  check(x.rank() == 4, "global_avg_pool of ", x.shape(), "; expected (N, H, W, C)");
  return mean(reshape(x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)}), 1);
}

}  // namespace bbam
