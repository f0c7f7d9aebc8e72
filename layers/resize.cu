// Resizing is separable: each pass resamples one axis of x seen as (outer, length, inner).
#include "layers/resize.h"

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

enum class Mode { kBilinear, kNearest };

// One axis: which inputs each output reads. Positions are in double, so that both directions and
// both devices agree on them exactly.
struct Axis {
  int64_t in, out;
  Corners corners;
  Mode mode;

  HD double position(int64_t o) const {
    if (corners == Corners::kAligned) return out > 1 ? double(o * (in - 1)) / double(out - 1) : 0.0;
    return max_((double(o) + 0.5) * double(in) / double(out) - 0.5, 0.0);
  }
  // The first input, and the weight of the one after it.
  HD int64_t read(int64_t o, double* next_weight) const {
    *next_weight = 0;
    if (mode == Mode::kNearest) {
      if (corners == Corners::kHalfPixel) return min_(o * in / out, in - 1);
      return min_(int64_t(ceil(position(o) - 0.5)), in - 1);
    }
    const double at = position(o);
    const int64_t i = min_(int64_t(at), in - 1);
    *next_weight = i + 1 < in ? at - double(i) : 0.0;
    return i;
  }
  // Outputs outside [first, last] do not read input i.
  HD int64_t first_reader(int64_t i) const {
    return max_(int64_t(double(i - 1) * per_input()) - 2, int64_t(0));
  }
  HD int64_t last_reader(int64_t i) const {
    return min_(int64_t(double(i + 2) * per_input()) + 2, out - 1);
  }
  HD double per_input() const {
    if (corners == Corners::kAligned)
      return in > 1 ? double(out - 1) / double(in - 1) : double(out);
    return double(out) / double(in);
  }
};

template <class T>
struct Forward {
  Axis axis;
  int64_t inner;
  const T* x;
  T* y;
  // Element c of the inner row of output `row` = (outer, o).
  HD void one(int64_t row, int64_t c, const T* from, T weight) const {
    const T value = from[c];
    y[row * inner + c] = weight == T(0) ? value : value + weight * (from[c + inner] - value);
  }
  HD const T* source(int64_t row, double* weight) const {
    return x + (row / axis.out * axis.in + axis.read(row % axis.out, weight)) * inner;
  }
  HD void operator()(int64_t i) const {
    double weight;
    const T* from = source(i / inner, &weight);
    one(i / inner, i % inner, from, T(weight));
  }
  HD void operator()(Block block, int64_t row) const {
    double weight;
    const T* from = source(row, &weight);
    for (int64_t c = block.rank(); c < inner; c += block.size()) one(row, c, from, T(weight));
  }
};

template <class T>
struct Backward {
  Axis axis;
  int64_t inner;
  const T* dy;
  T* dx;
  // Element c of the inner row of input `row` = (outer, i): the sum over its readers, in order.
  HD void one(int64_t row, int64_t c) const {
    const int64_t outer = row / axis.in, i = row % axis.in;
    T sum = 0;
    for (int64_t o = axis.first_reader(i); o <= axis.last_reader(i); ++o) {
      double next;
      const int64_t first = axis.read(o, &next);
      if (first != i && first + 1 != i) continue;
      sum += T(first == i ? 1 - next : next) * dy[(outer * axis.out + o) * inner + c];
    }
    dx[row * inner + c] = sum;
  }
  HD void operator()(int64_t i) const { one(i / inner, i % inner); }
  HD void operator()(Block block, int64_t row) const {
    for (int64_t c = block.rank(); c < inner; c += block.size()) one(row, c);
  }
};

// Wide rows are walked by a block, which keeps memory accesses contiguous; narrow ones by element.
template <class Kernel>
void launch(const char* label, Stream stream, int64_t rows, int64_t inner, const Kernel& kernel,
            int64_t bytes) {
  if (inner >= 32) {
    parallel_blocks(label, stream, rows, 64, 0, kernel, 0, bytes);
  } else {
    parallel_for(label, stream, rows * inner, kernel, 0, bytes);
  }
}

struct Extents {
  int64_t outer, in, inner;
};
Extents along(const Shape& s, int axis) {
  Extents e{1, s[axis], 1};
  for (int i = 0; i < axis; ++i) e.outer *= s[i];
  for (int i = axis + 1; i < s.rank(); ++i) e.inner *= s[i];
  return e;
}

Tensor resample(const Tensor& x, int axis, const Axis& map) {
  const Extents e = along(x.shape(), axis);
  Shape shape = x.shape();
  shape[axis] = map.out;
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    launch("resize", y.stream(), e.outer * map.out, e.inner,
           Forward<T>{map, e.inner, x.data<T>(), y.mutable_data<T>()},
           int64_t(x.bytes() + y.bytes()));
  });
  return y;
}

Tensor resample_backward(const Tensor& dy, int axis, const Axis& map) {
  const Extents e = along(dy.shape(), axis);
  Shape shape = dy.shape();
  shape[axis] = map.in;
  Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
  dispatch_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    launch("resize.backward", dx.stream(), e.outer * map.in, e.inner,
           Backward<T>{map, e.inner, dy.data<T>(), dx.mutable_data<T>()},
           int64_t(dx.bytes() + dy.bytes()));
  });
  return dx;
}

Variable resize(const char* name, const Variable& x, int64_t height, int64_t width, Corners corners,
                Mode mode) {
  check(x.rank() == 4, name, " of ", x.shape(), "; expected (N, H, W, C)");
  const int64_t h = x.dim(1), w = x.dim(2);
  check(height >= 0 && width >= 0 && (height * width == 0 || h * w > 0), name, " of ", x.shape(),
        " to ", height, " x ", width);
  const Axis rows{h, height, corners, mode}, columns{w, width, corners, mode};
  if (height * width == 0)
    return record(
        name, Tensor::empty({x.dim(0), height, width, x.dim(3)}, x.dtype(), x.device()), {x},
        [v = x.value()](const Tensor&, Gradients& dx) { dx.give(0, Tensor::zeros_like(v)); });
  const Tensor y = resample(resample(x.value(), 1, rows), 2, columns);
  return record(name, y, {x}, [rows, columns](const Tensor& dy, Gradients& dx) {
    dx.give(0, resample_backward(resample_backward(dy, 2, columns), 1, rows));
  });
}

}  // namespace

Variable resize_bilinear(const Variable& x, int64_t height, int64_t width, Corners corners) {
  return resize("resize_bilinear", x, height, width, corners, Mode::kBilinear);
}

Variable resize_nearest(const Variable& x, int64_t height, int64_t width, Corners corners) {
  return resize("resize_nearest", x, height, width, corners, Mode::kNearest);
}

}  // namespace bbam
