// Lattice construction (Adams, Baek and Davis 2010, section 3) without a hash table: each corner of
// each point's simplex gets a key, the keys are sorted, equal keys become one vertex, and a
// vertex's neighbours are found by walking along the same sorted list. Nothing here depends on the
// number of threads.
//
// D features, N points, M vertices. A vertex is an integer point (x_0, ..., x_D) whose coordinates
// sum to zero and are congruent modulo D + 1. Its key holds that remainder and, for j < D, the
// quotients x_j / (D + 1) rounded down; x_D follows from the others.
#include "segmenters/lattice_build.h"

#include <algorithm>
#include <cmath>

#include "tensor/algorithms.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

constexpr int kKeyBits = 60;

template <int D>
struct Embedding {
  float scale[D];        // from features to lattice units
  int32_t low[D];        // below every quotient that occurs
  uint64_t unit[D + 1];  // one step of a quotient, as a key; 0 for x_D
  int remainder_shift;
  // One step along the lattice changes the remainder by one, or back from D to 0 with a carry.
  uint64_t step, step_with_carry;

  HD int remainder(uint64_t key) const { return int(key >> remainder_shift); }
  // In direction j all coordinates grow by one, but x_j shrinks by D.
  HD uint64_t next(uint64_t key, int j) const {
    return key + (remainder(key) == D ? step_with_carry : step) - unit[j];
  }
};

// Extremes of each feature over tiles of points: result (tiles, 2, D), smallest then largest.
struct Min {
  HD float operator()(float a, float b) const { return min_(a, b); }
};
struct Max {
  HD float operator()(float a, float b) const { return max_(a, b); }
};
constexpr int kTile = 4096;
template <int D>
struct Extremes {
  const float* features;
  float* result;
  int64_t points;
  HD void operator()(const Block& g, int64_t tile) const {
    for (int j = 0; j < D; ++j) {
      float low = INFINITY, high = -INFINITY;
      const int64_t end = min_(points, (tile + 1) * kTile);
      for (int64_t i = tile * kTile + g.rank(); i < end; i += g.size()) {
        const float f = features[i * D + j];
        low = min_(low, f - f == 0.f ? f : -INFINITY);  // NaN and infinities show as -infinity
        high = max_(high, f);
      }
      low = g.reduce(low, Min{});
      high = g.reduce(high, Max{});
      if (g.rank() == 0) {
        result[tile * 2 * D + j] = low;
        result[tile * 2 * D + D + j] = high;
      }
    }
  }
};

// Section 3.1: lifts a point into the hyperplane, finds its simplex and its barycentric weights.
template <int D>
struct Embed {
  Embedding<D> embedding;
  const float* features;
  int64_t* keys;   // (D+1, N), corner r has remainder r
  float* weights;  // (D+1, N)
  int64_t points;

  HD void operator()(int64_t i) const {
    float lifted[D + 1], sum = 0;
    for (int j = D; j > 0; --j) {
      const float f = features[i * D + j - 1] * embedding.scale[j - 1];
      lifted[j] = sum - float(j) * f;
      sum += f;
    }
    lifted[0] = sum;

    // The nearest point with remainder 0, and the order of what is left over.
    int quotient[D + 1], rank[D + 1], excess = 0;
    float rest[D + 1];
    for (int j = 0; j <= D; ++j) {
      const float rounded = rintf(lifted[j] * (1.f / (D + 1)));
      quotient[j] = int(rounded);
      rest[j] = lifted[j] - rounded * float(D + 1);
      excess += quotient[j];
      rank[j] = 0;
    }
    for (int a = 0; a < D; ++a)
      for (int b = a + 1; b <= D; ++b) {
        const int smaller = rest[a] < rest[b];
        rank[a] += smaller;
        rank[b] += 1 - smaller;
      }
    // Rounding may have left the hyperplane: the coordinates rounded furthest go back.
    uint64_t key = 0, unit_of_rank[D + 1];
    float rest_of_rank[D + 1];
    for (int j = 0; j <= D; ++j) {
      rank[j] += excess;
      const int back = rank[j] < 0 ? 1 : rank[j] > D ? -1 : 0;
      rank[j] += back * (D + 1);
      rest_of_rank[rank[j]] = (rest[j] - float(back * (D + 1))) * (1.f / (D + 1));
      unit_of_rank[rank[j]] = embedding.unit[j];
      if (j < D) key += uint64_t(quotient[j] + back - embedding.low[j]) * embedding.unit[j];
    }

    // Corner r is corner r - 1 with all coordinates grown by one, that of rank D + 1 - r having
    // shrunk by D; its weight is the difference between two neighbours in the order of the rest.
    weights[i] = rest_of_rank[D] + (1.f - rest_of_rank[0]);
    keys[i] = int64_t(key);
    for (int r = 1; r <= D; ++r) {
      key += embedding.step - unit_of_rank[D + 1 - r];
      weights[r * points + i] = rest_of_rank[D - r] - rest_of_rank[D + 1 - r];
      keys[r * points + i] = int64_t(key);
    }
  }
};

// Keys of different rows differ in their remainder.
struct MarkFirst {
  const int64_t* keys;  // sorted
  int32_t* is_first;
  HD void operator()(int64_t k) const { is_first[k] = k == 0 || keys[k] != keys[k - 1]; }
};

// Entry k of the sorted corners belongs to vertex number[k] - 1.
template <int D>
struct FillVertices {
  Embedding<D> embedding;
  const int64_t* keys;   // sorted
  const float* weights;  // (D+1, N)
  const int32_t* number;
  const int32_t* point;  // splat_point
  int64_t points;
  int64_t* vertex_key;
  int32_t* corner_vertex;
  int32_t* splat_begin;
  float* splat_weight;
  HD void operator()(int64_t k) const {
    const int64_t corner = embedding.remainder(uint64_t(keys[k])) * points + point[k];
    const int32_t v = number[k] - 1;
    corner_vertex[corner] = v;
    splat_weight[k] = weights[corner];
    if (k == 0 || number[k - 1] != number[k]) {
      vertex_key[v] = keys[k];
      splat_begin[v] = int32_t(k);
    }
  }
};

HD inline int32_t lower_bound(const int64_t* keys, int32_t count, uint64_t key) {
  int32_t first = 0;
  while (count > 0) {
    const int32_t half = count / 2;
    if (uint64_t(keys[first + half]) < key) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

// The next vertices of a run, in each direction j. Within a remainder the neighbours of ascending
// keys ascend, so that one search serves a run and the rest is a walk.
template <int D>
struct FindNext {
  Embedding<D> embedding;
  const int64_t* keys;
  int32_t* neighbours;  // (D+1, M+1, 2)
  int32_t vertices, run;

  HD void operator()(int64_t i) const {
    const int32_t begin = int32_t(i) * run, end = min_(vertices, begin + run);
    for (int j = 0; j <= D; ++j) {
      int32_t* to = neighbours + int64_t(j) * 2 * (vertices + 1);
      int32_t place = 0;
      int remainder = -1;
      for (int32_t v = begin; v < end; ++v) {
        const auto key = uint64_t(keys[v]), next = embedding.next(key, j);
        if (embedding.remainder(key) != remainder) place = lower_bound(keys, vertices, next);
        remainder = embedding.remainder(key);
        while (place < vertices && uint64_t(keys[place]) < next) ++place;
        const bool found = place < vertices && uint64_t(keys[place]) == next;
        to[2 * int64_t(v)] = found ? place : vertices;
        to[2 * int64_t(v) + 1] = vertices;
      }
      if (end == vertices) to[2 * int64_t(end)] = to[2 * int64_t(end) + 1] = vertices;
    }
  }
};

// If v is followed by n, n is preceded by v, and by no other vertex.
struct FindPrevious {
  int32_t* neighbours;  // (directions, M+1, 2)
  int32_t vertices, directions;
  HD void operator()(int64_t v) const {
    for (int j = 0; j < directions; ++j) {
      int32_t* of = neighbours + int64_t(j) * 2 * (vertices + 1);
      if (of[2 * v] < vertices) of[2 * int64_t(of[2 * v]) + 1] = int32_t(v);
    }
  }
};

// Reserves a field of the key for x_j / (D + 1), x_j in [low, high]. The margins leave room for the
// choice of the simplex, its corners and their neighbours.
template <int D>
void add_field(Embedding<D>& embedding, int j, double low, double high, int* bits) {
  const double first = std::floor(low / (D + 1)) - 4, last = std::ceil(high / (D + 1)) + 4;
  int width = 0;
  while (width <= kKeyBits && std::ldexp(1.0, width) <= last - first) ++width;
  // Single precision places a point within a cell as long as there are about 2^20 of them.
  const double most = 1 << 20;
  check(*bits + width <= kKeyBits && std::abs(first) < most && std::abs(last) < most,
        "lattice: the features spread over too many cells to number; the standard deviations are "
        "too small for them");
  embedding.low[j] = int32_t(first);
  embedding.unit[j] = uint64_t(1) << *bits;
  *bits += width;
}

template <int D>
Embedding<D> choose_embedding(const Tensor& features) {
  const int64_t points = features.dim(0), tiles = (points + kTile - 1) / kTile;
  Tensor extremes = Tensor::empty({tiles, 2 * D}, DType::kF32, features.device());
  parallel_blocks("lattice.extremes", features.stream(), tiles, 256, 0,
                  Extremes<D>{features.data<float>(), extremes.mutable_data<float>(), points});
  const std::vector<float> found = extremes.to_vector<float>();

  // Interpolating twice and blurring once spreads like a Gaussian of this many lattice units.
  const auto deviation = float(std::sqrt(2.0 / 3.0) * (D + 1));
  Embedding<D> embedding{};
  double sum_low = 0, sum_high = 0;
  int bits = 0;
  for (int j = D; j > 0; --j) {
    float low = INFINITY, high = -INFINITY;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      low = std::min(low, found[size_t(tile * 2 * D + j - 1)]);
      high = std::max(high, found[size_t(tile * 2 * D + D + j - 1)]);
    }
    check(std::isfinite(low) && std::isfinite(high), "lattice: feature ", j - 1,
          " has values that are not finite");
    embedding.scale[j - 1] = float(1.0 / std::sqrt(double((j + 1) * j)) * deviation);
    // The range of x_j; x_0 is computed from the final sums below.
    const double scaled_low = low * double(embedding.scale[j - 1]);
    const double scaled_high = high * double(embedding.scale[j - 1]);
    if (j < D)
      add_field<D>(embedding, j, sum_low - j * scaled_high, sum_high - j * scaled_low, &bits);
    sum_low += scaled_low;
    sum_high += scaled_high;
  }
  add_field<D>(embedding, 0, sum_low, sum_high, &bits);
  embedding.remainder_shift = bits;
  uint64_t all = 0;
  for (const uint64_t unit : embedding.unit) all += unit;
  embedding.step = uint64_t(1) << bits;
  embedding.step_with_carry = all - D * embedding.step;
  return embedding;
}

template <int D>
LatticeTables build(const Tensor& features) {
  const Device device = features.device();
  const Stream stream = features.stream();
  const int64_t points = features.dim(0), corners = (D + 1) * points;
  const Embedding<D> embedding = choose_embedding<D>(features);

  LatticeTables tables;
  Tensor keys = Tensor::empty({D + 1, points}, DType::kI64, device);
  tables.corner_weight = Tensor::empty({D + 1, points}, DType::kF32, device);
  parallel_for("lattice.embed", stream, points,
               Embed<D>{embedding, features.data<float>(), keys.mutable_data<int64_t>(),
                        tables.corner_weight.mutable_data<float>(), points});

  tables.splat_point = sort_rows(keys, embedding.remainder_shift);
  Tensor first = Tensor::empty({corners}, DType::kI32, device);
  parallel_for("lattice.mark", stream, corners,
               MarkFirst{keys.data<int64_t>(), first.mutable_data<int32_t>()});
  const Tensor number = inclusive_scan(first);
  const int64_t vertices = number.rows(corners - 1, corners).item<int32_t>();
  tables.vertices = vertices;

  Tensor vertex_key = Tensor::empty({vertices}, DType::kI64, device);
  tables.corner_vertex = Tensor::empty({D + 1, points}, DType::kI32, device);
  // The last two entries close the list of vertex M - 1 and make that of vertex M empty.
  tables.splat_begin = Tensor::full({vertices + 2}, double(corners), DType::kI32, device);
  tables.splat_weight = Tensor::empty({corners}, DType::kF32, device);
  parallel_for("lattice.vertices", stream, corners,
               FillVertices<D>{embedding, keys.data<int64_t>(), tables.corner_weight.data<float>(),
                               number.data<int32_t>(), tables.splat_point.data<int32_t>(), points,
                               vertex_key.mutable_data<int64_t>(),
                               tables.corner_vertex.mutable_data<int32_t>(),
                               tables.splat_begin.mutable_data<int32_t>(),
                               tables.splat_weight.mutable_data<float>()});

  tables.neighbours = Tensor::empty({D + 1, vertices + 1, 2}, DType::kI32, device);
  auto* neighbours = tables.neighbours.mutable_data<int32_t>();
  const int64_t run = device.is_cpu() ? 512 : 1;
  parallel_for("lattice.next", stream, (vertices + run - 1) / run,
               FindNext<D>{embedding, vertex_key.data<int64_t>(), neighbours, int32_t(vertices),
                           int32_t(run)});
  parallel_for("lattice.previous", stream, vertices,
               FindPrevious{neighbours, int32_t(vertices), D + 1});
  return tables;
}

}  // namespace

LatticeTables build_lattice(const Tensor& features) {
  check(features.rank() == 2 && (features.dim(1) == 2 || features.dim(1) == 5) &&
            features.dtype() == DType::kF32,
        "lattice: features are ", features, "; expected f32 (N, 2) or (N, 5)");
  check(features.dim(0) > 0, "lattice: there are no points");
  check(features.dim(0) < (int64_t(1) << 31) / 8, "lattice: ", features.dim(0),
        " points are too many; expected fewer than 2^28");
  return features.dim(1) == 2 ? build<2>(features) : build<5>(features);
}

}  // namespace bbam
