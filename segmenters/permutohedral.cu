// D features, N points, M lattice vertices, W channels in a plane.
#include "segmenters/permutohedral.h"

#include <cmath>
#include <type_traits>

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// The kernels below handle W channels of rows that are S wide: on the CPU one call takes the whole
// row (W = S), on a GPU neighbouring threads share it (W = min(S, 4)).
template <int W, int S>
HD inline Row<W> load(const float* rows, int64_t row, int part) {
  return *reinterpret_cast<const Row<W>*>(rows + row * S + part * W);
}
template <int W, int S>
HD inline void store(float* rows, int64_t row, int part, Row<W> value) {
  *reinterpret_cast<Row<W>*>(rows + row * S + part * W) = value;
}

// A vertex gathers what its points contribute, in the order of the points.
template <int W, int S>
struct Splat {
  const int32_t* begin;
  const int32_t* point;
  const float* weight;
  const float* values;
  float* vertices;
  HD void operator()(int64_t i) const {
    const int64_t v = i / (S / W);
    const int part = int(i % (S / W));
    Row<W> sum = zero_row<W>();
    for (int32_t k = begin[v]; k < begin[v + 1]; ++k)
      sum = add_scaled(sum, weight[k], load<W, S>(values, point[k], part));
    store<W, S>(vertices, v, part, sum);
  }
};

// y = x + (x_next + x_previous) / 2 along one lattice direction; row M of x is zero.
template <int W, int S>
struct Blur {
  const int32_t* neighbours;  // (M, 2)
  const float* x;
  float* y;
  HD void operator()(int64_t i) const {
    const int64_t v = i / (S / W);
    const int part = int(i % (S / W));
    const Row<W> around =
        load<W, S>(x, neighbours[2 * v], part) + load<W, S>(x, neighbours[2 * v + 1], part);
    store<W, S>(y, v, part, add_scaled(load<W, S>(x, v, part), 0.5f, around));
  }
};

template <int D, int W, int S>
struct Slice {
  const int32_t* vertex;  // (D+1, N)
  const float* weight;
  const float* vertices;
  float* values;
  int64_t points;
  float gain;
  bool accumulate;
  HD void operator()(int64_t i) const {
    const int64_t p = i / (S / W);
    const int part = int(i % (S / W));
    Row<W> sum = zero_row<W>();
    for (int corner = 0; corner <= D; ++corner) {
      const int64_t k = corner * points + p;
      sum = add_scaled(sum, weight[k], load<W, S>(vertices, vertex[k], part));
    }
    const Row<W> base = accumulate ? load<W, S>(values, p, part) : zero_row<W>();
    store<W, S>(values, p, part, add_scaled(base, gain, sum));
  }
};

// n_i = 1 / sqrt((K 1)_i), applied where values enter the lattice and where they leave it.
struct ScaleCorners {
  const float* sums;  // K 1
  float* weight;      // (D+1, N)
  int64_t points;
  HD void operator()(int64_t k) const { weight[k] /= sqrtf(sums[k % points] + 1e-20f); }
};
struct ScaleSplats {
  const float* sums;
  const int32_t* point;
  float* weight;
  HD void operator()(int64_t k) const { weight[k] /= sqrtf(sums[point[k]] + 1e-20f); }
};

// (N, C) <-> planes; channels that only fill up the last plane become zero.
struct ToPlanes {
  const float* values;
  float* planes;
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    for (int c = 0; c < layout.channels; ++c)
      planes[layout.at(i, c)] = values[i * layout.channels + c];
    const int last = layout.count() - 1;
    for (int c = layout.channels - last * kPlaneWidth; c < layout.width(last); ++c)
      planes[layout.offset(last) + i * layout.width(last) + c] = 0.f;
  }
};
struct FromPlanes {
  const float* planes;
  float* values;
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    for (int c = 0; c < layout.channels; ++c)
      values[i * layout.channels + c] = planes[layout.at(i, c)];
  }
};

// On a GPU a row is shared by threads of at most this many channels each.
constexpr int kThreadWidth = 4;

struct Pass {
  const LatticeTables& tables;
  Stream stream;
  int64_t points;
  int dims;
};

template <int D, int W, int S>
void filter_rows(const Pass& pass, const float* from, float gain, bool accumulate, float* to,
                 float* front, float* back) {
  const LatticeTables& t = pass.tables;
  const int64_t vertices = t.vertices + 1, parts = S / W;
  parallel_for("lattice.splat", pass.stream, vertices * parts,
               Splat<W, S>{t.splat_begin.data<int32_t>(), t.splat_point.data<int32_t>(),
                           t.splat_weight.data<float>(), from, front});
  for (int j = 0; j <= D; ++j) {
    parallel_for("lattice.blur", pass.stream, vertices * parts,
                 Blur<W, S>{t.neighbours.data<int32_t>() + j * 2 * vertices, front, back});
    std::swap(front, back);
  }
  // Krahenbuhl's constant, which makes the filter of ones about one where points are dense.
  const float alpha = 1.f / (1.f + std::ldexp(1.f, -D));
  parallel_for("lattice.slice", pass.stream, pass.points * parts,
               Slice<D, W, S>{t.corner_vertex.data<int32_t>(), t.corner_weight.data<float>(), front,
                              to, pass.points, gain * alpha, accumulate});
}

}  // namespace

PermutohedralLattice::PermutohedralLattice(const Tensor& features, Normalisation normalisation)
    : tables_(build_lattice(features)), points_(features.dim(0)), dims_(int(features.dim(1))) {
  if (normalisation == Normalisation::kSymmetric) normalise();
}

void PermutohedralLattice::normalise() {
  const Tensor ones = Tensor::full({points_, 1}, 1, DType::kF32, device());
  const Tensor sums = filter(ones);
  const int64_t corners = (dims_ + 1) * points_;
  parallel_for(
      "lattice.normalise", stream_of(device()), corners,
      ScaleCorners{sums.data<float>(), tables_.corner_weight.mutable_data<float>(), points_});
  parallel_for("lattice.normalise", stream_of(device()), corners,
               ScaleSplats{sums.data<float>(), tables_.splat_point.data<int32_t>(),
                           tables_.splat_weight.mutable_data<float>()});
}

PermutohedralLattice::Workspace PermutohedralLattice::workspace() const {
  const Shape shape{tables_.vertices + 1, kPlaneWidth};
  return {Tensor::empty(shape, DType::kF32, device()), Tensor::empty(shape, DType::kF32, device())};
}

void PermutohedralLattice::filter_plane(const float* from, int width, float gain, bool accumulate,
                                        float* to, Workspace& workspace) const {
  const Pass pass{tables_, stream_of(device()), points_, dims_};
  float* front = workspace.front.mutable_data<float>();
  float* back = workspace.back.mutable_data<float>();
  dispatch_width(width, [&](auto constant) {
    constexpr int kWidth = constant;
    constexpr int kShared = kWidth < kThreadWidth ? kWidth : kThreadWidth;
    const bool cpu = device().is_cpu();
    if (dims_ == 2 && cpu)
      filter_rows<2, kWidth, kWidth>(pass, from, gain, accumulate, to, front, back);
    if (dims_ == 5 && cpu)
      filter_rows<5, kWidth, kWidth>(pass, from, gain, accumulate, to, front, back);
    if (dims_ == 2 && !cpu)
      filter_rows<2, kShared, kWidth>(pass, from, gain, accumulate, to, front, back);
    if (dims_ == 5 && !cpu)
      filter_rows<5, kShared, kWidth>(pass, from, gain, accumulate, to, front, back);
  });
}

Tensor PermutohedralLattice::filter(const Tensor& values) const {
  check_shape(values, {points_, -1}, "lattice filter: values");
  check(values.device() == device(), "lattice filter: values are ", values, ", the lattice is on ",
        device());
  const ChannelPlanes layout{points_, int(values.dim(1))};
  Tensor result = Tensor::empty_like(values);
  if (layout.channels == 0) return result;
  Tensor from = Tensor::empty({layout.size()}, DType::kF32, device());
  Tensor to = Tensor::empty({layout.size()}, DType::kF32, device());
  parallel_for("lattice.to_planes", values.stream(), points_,
               ToPlanes{values.data<float>(), from.mutable_data<float>(), layout});
  Workspace buffers = workspace();
  for (int plane = 0; plane < layout.count(); ++plane)
    filter_plane(from.data<float>() + layout.offset(plane), layout.width(plane), 1.f, false,
                 to.mutable_data<float>() + layout.offset(plane), buffers);
  parallel_for("lattice.from_planes", values.stream(), points_,
               FromPlanes{to.data<float>(), result.mutable_data<float>(), layout});
  return result;
}

}  // namespace bbam
