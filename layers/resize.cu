// Resizing is separable: each pass resamples one axis of x seen as (outer, length, inner). The rows
// go first in both directions: that pass is contiguous, and backward it leaves the other little.
#include "layers/resize.h"

#include "layers/broadcast.h"
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
  // A place at or before the first output that reads input i.
  HD int64_t before_readers(int64_t i) const {
    const double per_input = corners == Corners::kHalfPixel ? double(out) / double(in)
                             : in > 1                       ? double(out - 1) / double(in - 1)
                                                            : 0.0;
    return clamp_(int64_t(double(i - 1) * per_input) - 2, int64_t(0), out);
  }
};

// The axis as tables: Axis::read for every output, and for k = 0 ... in the number of outputs whose
// first input is before k. first[] never falls, so the outputs that read input i are neighbours.
template <class T>
struct Reads {
  int64_t in, out;
  const int32_t* first;
  const T* next_weight;
  const int32_t* outputs_before;

  HD int64_t begin_readers(int64_t i) const { return i > 0 ? outputs_before[i - 1] : 0; }
  HD int64_t end_readers(int64_t i) const { return outputs_before[i + 1]; }
  // What output o, one of its readers, takes of input i.
  HD T share(int64_t i, int64_t o) const {
    return first[o] == i ? T(1) - next_weight[o] : next_weight[o];
  }
};

template <class T>
struct FindReads {
  Axis axis;
  int32_t* first;
  T* next_weight;
  HD void operator()(int64_t o) const {
    double next = 0;
    first[o] = int32_t(axis.read(o, &next));
    next_weight[o] = T(next);
  }
};

struct CountOutputs {
  Axis axis;
  const int32_t* first;
  int32_t* outputs_before;
  HD void operator()(int64_t k) const {
    int64_t o = axis.before_readers(k);
    while (o < axis.out && first[o] < k) ++o;
    outputs_before[k] = int32_t(o);
  }
};

// Rows of at least kWide elements are cut into pieces of at most kPiece, one block each; a block
// takes a whole line of narrower ones. Runs: see blend_runs.
constexpr int64_t kWide = 32, kPiece = 512, kLongRun = 4;

HD inline int64_t pieces(int64_t inner) { return (inner + kPiece - 1) / kPiece; }

// A neighbour of weight 0 is not read: it may not exist, and a NaN in it must not spread.
template <class T>
struct ForwardWide {
  Reads<T> reads;
  int64_t inner;
  const T* x;
  T* y;
  HD void operator()(const Block& g, int64_t b) const {
    const int64_t row = b / pieces(inner), begin = b % pieces(inner) * kPiece;
    const int64_t o = row % reads.out, i = row / reads.out * reads.in + reads.first[o];
    blend(g, reads.next_weight[o], x + i * inner + begin, y + row * inner + begin,
          min_(inner - begin, kPiece));
  }
  HD void blend(const Block& g, T next, const T* __restrict__ from, T* __restrict__ to,
                int64_t count) const {
    if (next == T(0)) {
      for (int64_t c = g.rank(); c < count; c += g.size()) to[c] = from[c];
    } else {
      for (int64_t c = g.rank(); c < count; c += g.size())
        to[c] = from[c] + next * (from[c + inner] - from[c]);
    }
  }
};

template <class T>
struct ForwardNarrow {
  Reads<T> reads;
  int64_t inner;
  const T* x;
  T* y;
  HD void operator()(const Block& g, int64_t line) const {
    const T* from = x + line * reads.in * inner;
    T* to = y + line * reads.out * inner;
    if (inner == 1 && reads.out > kLongRun * reads.in) return blend_runs(g, from, to);
    for (int64_t o = g.rank(); o < reads.out; o += g.size()) {
      const T next = reads.next_weight[o];
      const T* pixel = from + reads.first[o] * inner;
      const int64_t step = next == T(0) ? 0 : inner;
      for (int64_t c = 0; c < inner; ++c)
        to[o * inner + c] = blend(pixel[c], pixel[c + step], next);
    }
  }
  // One channel enlarged, as masks are: the outputs between two inputs are one contiguous run.
  HD void blend_runs(const Block& g, const T* __restrict__ from, T* __restrict__ to) const {
    for (int64_t i = 0; i < reads.in; ++i) {
      const T a = from[i], b = from[min_(i + 1, reads.in - 1)];
      const int64_t end = reads.outputs_before[i + 1];
      for (int64_t o = reads.outputs_before[i] + g.rank(); o < end; o += g.size())
        to[o] = blend(a, b, reads.next_weight[o]);
    }
  }
  static HD T blend(T a, T b, T next) { return next == T(0) ? a : a + next * (b - a); }
};

// dx row i += weight * dy row o, over the outputs o that read i, in order.
template <class T>
struct BackwardWide {
  Reads<T> reads;
  int64_t inner;
  const T* dy;
  T* dx;
  HD void operator()(const Block& g, int64_t b) const {
    const int64_t row = b / pieces(inner), begin = b % pieces(inner) * kPiece;
    const int64_t outer = row / reads.in, i = row % reads.in, count = min_(inner - begin, kPiece);
    T* to = dx + row * inner + begin;
    for (int64_t c = g.rank(); c < count; c += g.size()) to[c] = T(0);
    for (int64_t o = reads.begin_readers(i); o < reads.end_readers(i); ++o) {
      const T w = reads.share(i, o);
      if (w != T(0)) add(g, w, dy + (outer * reads.out + o) * inner + begin, to, count);
    }
  }
  HD void add(const Block& g, T w, const T* __restrict__ from, T* __restrict__ to,
              int64_t count) const {
    for (int64_t c = g.rank(); c < count; c += g.size()) to[c] += w * from[c];
  }
};

template <class T>
struct BackwardNarrow {
  Reads<T> reads;
  int64_t inner;
  const T* dy;
  T* dx;
  HD void operator()(const Block& g, int64_t line) const {
    for (int64_t i = g.rank(); i < reads.in; i += g.size()) {
      T* to = dx + (line * reads.in + i) * inner;
      for (int64_t c = 0; c < inner; ++c) to[c] = T(0);
      for (int64_t o = reads.begin_readers(i); o < reads.end_readers(i); ++o) {
        const T w = reads.share(i, o);
        if (w == T(0)) continue;
        const T* from = dy + (line * reads.out + o) * inner;
        for (int64_t c = 0; c < inner; ++c) to[c] += w * from[c];
      }
    }
  }
};

// The tables behind Reads.
template <class T>
struct Tables {
  Axis axis;
  Tensor first, next_weight, outputs_before;

  Tables(const Axis& axis_, Device device)
      : axis(axis_), first(Tensor::empty({axis.out}, DType::kI32, device)),
        next_weight(Tensor::empty({axis.out}, dtype_of<T>::value, device)),
        outputs_before(Tensor::empty({axis.in + 1}, DType::kI32, device)) {
    auto* i = first.mutable_data<int32_t>();
    parallel_for("resize.reads", first.stream(), axis.out,
                 FindReads<T>{axis, i, next_weight.mutable_data<T>()});
    parallel_for("resize.readers", first.stream(), axis.in + 1,
                 CountOutputs{axis, i, outputs_before.mutable_data<int32_t>()});
  }
  Reads<T> reads() const {
    return {axis.in, axis.out, first.data<int32_t>(), next_weight.data<T>(),
            outputs_before.data<int32_t>()};
  }
};

template <class Wide, class Narrow>
void launch(const char* label, const Tensor& result, const AxisView& e, int64_t length,
            const Wide& wide, const Narrow& narrow, size_t bytes) {
  if (e.inner >= kWide)
    parallel_blocks(label, result.stream(), e.outer * length * pieces(e.inner), 128, 0, wide, 0,
                    int64_t(bytes));
  else
    parallel_blocks(label, result.stream(), e.outer, 256, 0, narrow, 0, int64_t(bytes));
}

Tensor resample(const Tensor& x, int along_axis, const Axis& axis) {
  const AxisView e = view_of(x.shape(), along_axis);
  Shape shape = x.shape();
  shape[along_axis] = axis.out;
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  dispatch_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Tables<T> tables(axis, x.device());
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    launch("resize", y, e, axis.out, ForwardWide<T>{tables.reads(), e.inner, from, to},
           ForwardNarrow<T>{tables.reads(), e.inner, from, to}, x.bytes() + y.bytes());
  });
  return y;
}

Tensor resample_backward(const Tensor& dy, int along_axis, const Axis& axis) {
  const AxisView e = view_of(dy.shape(), along_axis);
  Shape shape = dy.shape();
  shape[along_axis] = axis.in;
  Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
  dispatch_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    const Tables<T> tables(axis, dy.device());
    const T* from = dy.data<T>();
    T* to = dx.mutable_data<T>();
    launch("resize.backward", dx, e, axis.in, BackwardWide<T>{tables.reads(), e.inner, from, to},
           BackwardNarrow<T>{tables.reads(), e.inner, from, to}, dx.bytes() + dy.bytes());
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
    dx.give(0, resample_backward(resample_backward(dy, 1, rows), 2, columns));
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
