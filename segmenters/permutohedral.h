// Gaussian filtering in high dimensions on the permutohedral lattice (Adams, Baek and Davis 2010).
//
//   filter(v)_i ~ c sum_j exp(-|f_i - f_j|^2 / 2) v_j
//
// Each point f_i lies in a simplex of the lattice of D + 1 corners. Its value is added to the
// corners with barycentric weights (splat), the corners are blurred with (1 2 1)/2 along the D + 1
// lattice directions, and each point reads its corners back with the same weights (slice). The
// factor c is a constant of D; normalisation removes it.
//
// The lattice depends on the features alone and filters any number of values. Where the arithmetic
// leaves a choice it follows Kraehenbuehl's implementation, so that results agree with his to
// rounding: corners that no point touches do not take part in the blur (they count as zero).
#pragma once
#include "segmenters/channel_planes.h"
#include "segmenters/lattice_build.h"
#include "tensor/tensor.h"

namespace bbam {

enum class Normalisation {
  kNone,
  // N^-1/2 K N^-1/2 with N the diagonal of K 1: rows and columns sum to about one.
  kSymmetric,
};

class PermutohedralLattice {
 public:
  // features: (N, D) f32 in standard deviations of the Gaussian, D = 2 or 5, on any device; the
  // lattice lives there. Throws Error for other shapes, no points, numbers that are not finite, or
  // features so far apart that the cells between them cannot be numbered in 60 bits.
  explicit PermutohedralLattice(const Tensor& features,
                                Normalisation normalisation = Normalisation::kNone);

  int64_t points() const { return points_; }
  int64_t vertices() const { return tables_.vertices; }
  Device device() const { return tables_.corner_weight.device(); }

  // values: (N, C) f32 -> (N, C). Deterministic: same bytes for any number of threads.
  Tensor filter(const Tensor& values) const;

  // The two halves of filter, for one plane (N, width) of channels, width 1, 2, 4 or 8, aligned to
  // its rows: `splat` leaves the blurred values of the vertices in `values`, `slice` overwrites
  // `to` with gain times what each point reads from them, or adds it.
  struct VertexValues {
    Tensor front, back;
  };
  VertexValues vertex_values() const;
  void splat(const float* from, int width, VertexValues& values) const;
  void slice(const VertexValues& values, int width, float gain, bool accumulate, float* to) const;

 private:
  void normalise();

  LatticeTables tables_;
  int64_t points_;
  int dims_;
};

}  // namespace bbam
