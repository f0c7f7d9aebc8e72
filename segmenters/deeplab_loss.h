// What DeepLab's outputs are trained on: cross entropy over the labelled pixels, plain [METHOD B5]
// or balanced between background and foreground [METHOD B5, the weakly supervised variants].
#pragma once
#include "autograd/variable.h"

namespace bbam {

inline constexpr int64_t kIgnoredLabel = 255;

enum class DeepLabLoss {
  kPlain,  // mean over all labelled pixels
  // Half the mean over those labelled background, half the mean over those of all other classes
  // together, each over the pixels of the whole batch, as the public CLIMS does. AdvCAM's authors
  // say of theirs that it is similar to DSRG's. DIFFERS from DSRG, which takes both means image by
  // image and does not halve their sum.
  kBalanced,
};

// logits: (P, C), class 0 is background; labels: i64 (P) in [0, C) or kIgnoredLabel, on the CPU ->
// a scalar of shape (). A mean over no pixel is 0 with gradient 0; the other half of the balanced
// loss then stays halved (CLIMS has no number there).
Variable deeplab_loss(const Variable& logits, const Tensor& labels, DeepLabLoss loss);

}  // namespace bbam
