// Fully connected CRF with Gaussian edges, solved by mean field (Kraehenbuehl and Koltun 2011,
// algorithm 1), for the Potts model:
//
//   Q_i(l) ~ exp(-u_i(l) + sum_m w_m sum_j k_m(i, j) Q_j(l))
//
// with a smoothness kernel over positions and an appearance kernel over positions and colours,
// each normalised symmetrically and evaluated on a permutohedral lattice. As there, j = i takes
// part in the sums, and Q starts as the softmax of -u.
#pragma once
#include "segmenters/permutohedral.h"

namespace bbam {

// METHOD A8; the defaults are those of BBAM's pseudo labels.
struct DenseCrfOptions {
  float smoothness_sigma_px = 1.f, smoothness_weight = 3.f;
  float appearance_sigma_px = 80.f, appearance_sigma_levels = 3.f, appearance_weight = 4.f;
  int iterations = 10;
};

inline constexpr DenseCrfOptions kPseudoLabelCrf{};
inline constexpr DenseCrfOptions kDeepLabCrf{.appearance_sigma_px = 67.f};

// One image, prepared once, for any number of label sets.
class DenseCrf {
 public:
  // image: (H, W, 3) u8, red, green, blue; the work is done on its device. Throws Error for an
  // empty image, deviations that are not positive, or a negative number of iterations.
  explicit DenseCrf(const Tensor& image, const DenseCrfOptions& options = {});

  // unary: (H, W, L) f32, energies u = -log p; L >= 1 -> marginals (H, W, L), summing to one.
  // Deterministic: same bytes for any number of threads. An exact tie of the last label with
  // another one may be broken by rounding.
  Tensor infer(const Tensor& unary) const;

  // K independent problems of two labels, foreground and background, at little more than the price
  // of one. foreground: (H, W, K) f32, probabilities -> marginals of the foreground (H, W, K).
  // Energies are -log max(p, kMinProbability) and -log max(1 - p, kMinProbability).
  Tensor infer_foreground(const Tensor& foreground) const;

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }

 private:
  struct Beliefs;
  void check_map(const Tensor& map, const char* what) const;
  // q becomes sum_m w_m K_m q.
  void pass_messages(const ChannelPlanes& layout, Tensor& q) const;
  void iterate(Beliefs& beliefs) const;

  DenseCrfOptions options_;
  PermutohedralLattice smoothness_, appearance_;
  int64_t height_, width_;
  Tensor message_of_ones_;  // (H W): what all labels receive together
};

inline constexpr float kMinProbability = 1e-5f;

// probabilities: f32 -> -log max(p, kMinProbability), of the same shape.
Tensor unary_from_probabilities(const Tensor& probabilities);

}  // namespace bbam
