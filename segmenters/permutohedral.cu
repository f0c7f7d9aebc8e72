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

HD inline void prefetch(const void* address) {
#if !defined(__CUDA_ARCH__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

// A vertex gathers what its points contribute, in the order of the points. Points that share
// colours lie scattered over the picture, where no hardware foresees them; `ahead` entries before
// their turn they are asked for (0: never).
template <int W, int S>
struct Splat {
  const int32_t* begin;
  const int32_t* point;
  const float* weight;
  const float* values;
  float* vertices;
  int32_t entries, ahead;
  HD void operator()(int64_t i) const {
    const int64_t v = i / (S / W);
    const int part = int(i % (S / W));
    Row<W> sum = zero_row<W>();
    for (int32_t k = begin[v]; k < begin[v + 1]; ++k) {
      if (ahead > 0) prefetch(values + int64_t(point[min_(k + ahead, entries - 1)]) * S);
      sum = add_scaled(sum, weight[k], load<W, S>(values, point[k], part));
    }
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

// n_i = 1 / sqrt((K 1)_i), by which values are scaled where they enter the lattice and where they
// leave it.
struct RootOfSum {
  float* sums;
  HD void operator()(int64_t i) const { sums[i] = 1.f / sqrtf(sums[i] + 1e-20f); }
};
struct ScaleCorners {
  const float* scale;
  float* weight;  // (corners, N)
  int64_t points;
  int corners;
  HD void operator()(int64_t i) const {
    for (int r = 0; r < corners; ++r) weight[r * points + i] *= scale[i];
  }
};
struct ScaleSplats {
  const float* scale;
  const int32_t* point;
  float* weight;
  HD void operator()(int64_t k) const { weight[k] *= scale[point[k]]; }
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

// Calls f<W, S> for rows of `width`: whole rows on the CPU, at most 4 channels a thread on a GPU.
template <class F>
void dispatch_rows(int width, Device device, F f) {
  dispatch_width(width, [&](auto constant) {
    constexpr int kWidth = constant, kShared = kWidth < 4 ? kWidth : 4;
    if (device.is_cpu())
      f.template operator()<kWidth, kWidth>();
    else
      f.template operator()<kShared, kWidth>();
  });
}

}  // namespace

PermutohedralLattice::PermutohedralLattice(const Tensor& features, Normalisation normalisation)
    : tables_(build_lattice(features)), points_(features.dim(0)), dims_(int(features.dim(1))) {
  if (normalisation == Normalisation::kSymmetric) normalise();
}

void PermutohedralLattice::normalise() {
  const Stream stream = stream_of(device());
  Tensor scale = filter(Tensor::full({points_, 1}, 1, DType::kF32, device()));
  parallel_for("lattice.scale", stream, points_, RootOfSum{scale.mutable_data<float>()});
  parallel_for("lattice.scale", stream, points_,
               ScaleCorners{scale.data<float>(), tables_.corner_weight.mutable_data<float>(),
                            points_, dims_ + 1});
  parallel_for("lattice.scale", stream, (dims_ + 1) * points_,
               ScaleSplats{scale.data<float>(), tables_.splat_point.data<int32_t>(),
                           tables_.splat_weight.mutable_data<float>()});
}

PermutohedralLattice::VertexValues PermutohedralLattice::vertex_values() const {
  const Shape shape{tables_.vertices + 1, kPlaneWidth};
  return {Tensor::empty(shape, DType::kF32, device()), Tensor::empty(shape, DType::kF32, device())};
}

void PermutohedralLattice::splat(const float* from, int width, VertexValues& values) const {
  const Stream stream = stream_of(device());
  const int64_t vertices = tables_.vertices + 1;
  const int32_t ahead = dims_ > 2 && width > 1 ? 16 : 0;
  dispatch_rows(width, device(), [&]<int W, int S>() {
    constexpr int kParts = S / W;
    parallel_for(
        "lattice.splat", stream, vertices * kParts,
        Splat<W, S>{tables_.splat_begin.data<int32_t>(), tables_.splat_point.data<int32_t>(),
                    tables_.splat_weight.data<float>(), from, values.front.mutable_data<float>(),
                    int32_t(tables_.splat_point.size()), ahead});
    for (int j = 0; j <= dims_; ++j) {
      parallel_for("lattice.blur", stream, vertices * kParts,
                   Blur<W, S>{tables_.neighbours.data<int32_t>() + j * 2 * vertices,
                              values.front.data<float>(), values.back.mutable_data<float>()});
      std::swap(values.front, values.back);
    }
  });
}

void PermutohedralLattice::slice(const VertexValues& values, int width, float gain, bool accumulate,
                                 float* to) const {
  // Kraehenbuehl's constant: where points are dense, ones are filtered to about one.
  const float alpha = 1.f / (1.f + std::ldexp(1.f, -dims_));
  const auto run = [&]<int D, int W, int S>() {
    parallel_for(
        "lattice.slice", stream_of(device()), points_ * (S / W),
        Slice<D, W, S>{tables_.corner_vertex.data<int32_t>(), tables_.corner_weight.data<float>(),
                       values.front.data<float>(), to, points_, gain * alpha, accumulate});
  };
  dispatch_rows(width, device(), [&]<int W, int S>() {
    dims_ == 2 ? run.template operator()<2, W, S>() : run.template operator()<5, W, S>();
  });
}

Tensor PermutohedralLattice::filter(const Tensor& values) const {
  check_shape(values, {points_, -1}, "lattice filter: values");
  check(values.device() == device(), "lattice filter: values are ", values, ", the lattice is on ",
        device());
  const ChannelPlanes layout{points_, int(values.dim(1))};
  Tensor result = Tensor::empty_like(values);
  if (layout.channels == 0) return result;
  Tensor planes = Tensor::empty({layout.size()}, DType::kF32, device());
  parallel_for("lattice.to_planes", values.stream(), points_,
               ToPlanes{values.data<float>(), planes.mutable_data<float>(), layout});
  VertexValues at_vertices = vertex_values();
  for (int p = 0; p < layout.count(); ++p) {
    float* plane = planes.mutable_data<float>() + layout.offset(p);
    splat(plane, layout.width(p), at_vertices);
    slice(at_vertices, layout.width(p), 1.f, false, plane);
  }
  parallel_for("lattice.from_planes", values.stream(), points_,
               FromPlanes{planes.data<float>(), result.mutable_data<float>(), layout});
  return result;
}

}  // namespace bbam
