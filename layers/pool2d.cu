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

// In each kernel a block makes all channels of one pixel, window by window with the channels
// inside: contiguous for a warp, and one vector loop on the CPU.

// Winners hold the row-major position within the window. A NaN wins over every number.
template <class T>
struct MaxForward {
  Geometry g;
  const T* x;
  T* y;
  uint8_t* winners;

  HD void operator()(const Block& block, int64_t i) const {
    const int64_t q = i % g.wo, p = i / g.wo % g.ho, n = i / g.wo / g.ho;
    const int64_t top = p * g.stride - g.padding, left = q * g.stride - g.padding;
    bool is_first = true;
    for (int64_t row = g.begin(p); row < g.end(p, g.h); ++row)
      for (int64_t col = g.begin(q); col < g.end(q, g.w); ++col) {
        const auto place = uint8_t((row - top) * g.kernel + (col - left));
        const T* pixel = x + ((n * g.h + row) * g.w + col) * g.c;
        compare(block, is_first, pixel, place, y + i * g.c, winners + i * g.c);
        is_first = false;
      }
  }
  HD void compare(const Block& block, bool is_first, const T* __restrict__ pixel, uint8_t place,
                  T* __restrict__ best, uint8_t* __restrict__ winner) const {
    if (is_first) {
      for (int64_t c = block.rank(); c < g.c; c += block.size()) {
        best[c] = pixel[c];
        winner[c] = place;
      }
      return;
    }
    for (int64_t c = block.rank(); c < g.c; c += block.size()) {
      const T value = pixel[c];
      const bool wins = (value > best[c]) | (value != value);
      best[c] = wins ? value : best[c];
      winner[c] = wins ? place : winner[c];
    }
  }
};

// One input pixel: the sum over the windows that it won.
template <class T>
struct MaxBackward {
  Geometry g;
  const T* dy;
  const uint8_t* winners;
  T* dx;

  HD void operator()(const Block& block, int64_t i) const {
    const int64_t col = i % g.w, row = i / g.w % g.h, n = i / g.w / g.h;
    T* sum = dx + i * g.c;
    for (int64_t c = block.rank(); c < g.c; c += block.size()) sum[c] = T(0);
    for (int64_t p = g.first(row); p <= g.last(row, g.ho); ++p)
      for (int64_t q = g.first(col); q <= g.last(col, g.wo); ++q) {
        const int64_t top = p * g.stride - g.padding, left = q * g.stride - g.padding;
        const auto place = uint8_t((row - top) * g.kernel + (col - left));
        const int64_t at = ((n * g.ho + p) * g.wo + q) * g.c;
        add_won(block, dy + at, winners + at, place, sum);
      }
  }
  HD void add_won(const Block& block, const T* __restrict__ d, const uint8_t* __restrict__ winner,
                  uint8_t place, T* __restrict__ sum) const {
    for (int64_t c = block.rank(); c < g.c; c += block.size())
      sum[c] += winner[c] == place ? d[c] : T(0);
  }
};

template <class T>
HD void add_scaled(const Block& block, int64_t channels, T scale, const T* __restrict__ from,
                   T* __restrict__ sum) {
  for (int64_t c = block.rank(); c < channels; c += block.size()) sum[c] += scale * from[c];
}

template <class T>
struct AverageForward {
  Geometry g;
  const T* x;
  T* y;
  HD void operator()(const Block& block, int64_t i) const {
    const int64_t q = i % g.wo, p = i / g.wo % g.ho, n = i / g.wo / g.ho;
    const T share = T(1) / T(g.divisor(p, q));
    for (int64_t c = block.rank(); c < g.c; c += block.size()) y[i * g.c + c] = T(0);
    for (int64_t row = g.begin(p); row < g.end(p, g.h); ++row)
      for (int64_t col = g.begin(q); col < g.end(q, g.w); ++col)
        add_scaled(block, g.c, share, x + ((n * g.h + row) * g.w + col) * g.c, y + i * g.c);
  }
};

template <class T>
struct AverageBackward {
  Geometry g;
  const T* dy;
  T* dx;
  HD void operator()(const Block& block, int64_t i) const {
    const int64_t col = i % g.w, row = i / g.w % g.h, n = i / g.w / g.h;
    for (int64_t c = block.rank(); c < g.c; c += block.size()) dx[i * g.c + c] = T(0);
    for (int64_t p = g.first(row); p <= g.last(row, g.ho); ++p)
      for (int64_t q = g.first(col); q <= g.last(col, g.wo); ++q)
        add_scaled(block, g.c, T(1) / T(g.divisor(p, q)), dy + ((n * g.ho + p) * g.wo + q) * g.c,
                   dx + i * g.c);
  }
};

// Runs the kernel over the pixels of a tensor of this shape.
template <class Kernel>
void for_each_pixel(const char* label, Stream stream, const Shape& shape, const Kernel& kernel,
                    int64_t flops, size_t bytes) {
  const int64_t channels = shape[3];
  const int threads = int(clamp_<int64_t>((channels + 31) / 32 * 32, 32, 256));
  parallel_blocks(label, stream, shape.size() / max_<int64_t>(channels, 1), threads, 0, kernel,
                  flops, int64_t(bytes));
}

Tensor pooled(const Variable& x, const Pool2dSpec& s) {
  check(x.rank() == 4, "pooling of ", x.shape(), "; expected (N, H, W, C)");
  check(s.kernel >= 1 && s.kernel <= 15 && s.stride >= 1 && s.padding >= 0 &&
            2 * s.padding <= s.kernel,
        "pooling with kernel ", s.kernel, ", stride ", s.stride, ", padding ", s.padding,
        "; expected a kernel of 1 to 15 and a padding of at most half of it");
  const Shape y{x.dim(0), pooled_extent(x.dim(1), s), pooled_extent(x.dim(2), s), x.dim(3)};
  return Tensor::empty(y, x.dtype(), x.device());
}

}  // namespace

int64_t pooled_extent(int64_t in, const Pool2dSpec& s) {
  const int64_t room = in + 2 * s.padding - s.kernel + (s.ceil_mode ? s.stride - 1 : 0);
  if (in == 0 || room < 0) return 0;
  const int64_t extent = room / s.stride + 1;
  return (extent - 1) * s.stride >= in + s.padding ? extent - 1 : extent;
}

Variable max_pool2d(const Variable& x, const Pool2dSpec& spec) {
  Tensor y = pooled(x, spec);
  Tensor winners = Tensor::empty(y.shape(), DType::kU8, y.device());
  const Geometry g = geometry(x.shape(), y.shape(), spec);
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    for_each_pixel(
        "max_pool2d", y.stream(), y.shape(),
        MaxForward<T>{g, x.value().data<T>(), y.mutable_data<T>(), winners.mutable_data<uint8_t>()},
        y.size() * spec.kernel * spec.kernel, x.value().bytes() + y.bytes());
  });
  return record(
      "max_pool2d", y, {x}, [g, winners, shape = x.shape()](const Tensor& dy, Gradients& dx) {
        Tensor gradient = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), [&](auto t) {
          using T = decltype(t);
          for_each_pixel(
              "max_pool2d.backward", dy.stream(), shape,
              MaxBackward<T>{g, dy.data<T>(), winners.data<uint8_t>(), gradient.mutable_data<T>()},
              0, dy.bytes() + gradient.bytes());
        });
        dx.give(0, gradient);
      });
}

Variable avg_pool2d(const Variable& x, const Pool2dSpec& spec) {
  Tensor y = pooled(x, spec);
  const Geometry g = geometry(x.shape(), y.shape(), spec);
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    for_each_pixel("avg_pool2d", y.stream(), y.shape(),
                   AverageForward<T>{g, x.value().data<T>(), y.mutable_data<T>()},
                   y.size() * spec.kernel * spec.kernel, x.value().bytes() + y.bytes());
  });
  return record("avg_pool2d", y, {x}, [g, shape = x.shape()](const Tensor& dy, Gradients& dx) {
    Tensor gradient = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      for_each_pixel("avg_pool2d.backward", dy.stream(), shape,
                     AverageBackward<T>{g, dy.data<T>(), gradient.mutable_data<T>()}, 0,
                     dy.bytes() + gradient.bytes());
    });
    dx.give(0, gradient);
  });
}

Variable global_avg_pool(const Variable& x) {
  check(x.rank() == 4, "global_avg_pool of ", x.shape(), "; expected (N, H, W, C)");
  return mean(reshape(x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)}), 1);
}

}  // namespace bbam
