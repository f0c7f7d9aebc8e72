// Training a mask branch from seeds (BBAM section 3.4, METHOD A11), after deep seeded region
// growing [Huang et al. 2018].
//
// P regions of M x M cells. Seeds are (P, M, M) u8: 1 foreground, 0 background, 255 neither
// (segmenters/mask_targets.h).
#pragma once
#include "autograd/variable.h"

namespace bbam {

struct GrowingSpec {
  double foreground_above = 0.9;  // METHOD A11: of the probability of the region's class
  double background_below = 0.1;  // METHOD A11
};

// From seeds and probabilities (P, M, M), f32 or f64, of the same device, the grown seeds. In this
// order, that of the authors' program:
//   1. cells whose probability is above foreground_above join the foreground, those below
//      background_below the background;
//   2. initial seeds win: what was a seed of the other kind leaves again;
//   3. a cell stays if at least one of its 8 neighbours has the same label after step 2, which is
//      asked of all cells at once. Outside the region there are no neighbours, and an initial seed
//      without one goes too.
// No gradients: growing is a choice of cells.
Tensor grow_seeds(const Tensor& seeds, const Tensor& probabilities, const GrowingSpec& spec = {});

enum class MaskLoss {
  kPlain,        // mean over all cells that have a label: Mask R-CNN with full supervision
  kBalanced,     // (mean over the foreground + mean over the background) / 2
  kSeedGrowing,  // the same, of the seeds grown by the sigmoid of these logits
};

// Binary cross entropy of logits, (P, M, M) f32 or f64, a scalar of shape (). Means run over the
// cells of all regions together, as in the authors' program: a large region weighs no more than a
// small one, but one with many seeds more than one with few. 0, with gradient 0, when there is no
// cell to average over; of the balanced losses also when either kind is missing.
Variable mask_loss(const Variable& logits, const Tensor& seeds, MaskLoss loss,
                   const GrowingSpec& spec = {});

}  // namespace bbam
