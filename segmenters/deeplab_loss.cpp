#include "segmenters/deeplab_loss.h"

#include <algorithm>

#include "layers/losses.h"

namespace bbam {
namespace {

// (P) f64: 1/2 over the number of pixels of the same kind.
Tensor balanced_weights(const Tensor& labels) {
  const std::vector<int64_t> of_pixels = labels.to_vector<int64_t>();
  const auto background = std::count(of_pixels.begin(), of_pixels.end(), 0);
  const auto ignored = std::count(of_pixels.begin(), of_pixels.end(), kIgnoredLabel);
  const auto foreground = int64_t(of_pixels.size()) - background - ignored;
  std::vector<double> weights;
  weights.reserve(of_pixels.size());
  for (const int64_t label : of_pixels)
    weights.push_back(0.5 / double(label == 0 ? background : std::max<int64_t>(foreground, 1)));
  return Tensor::from(weights);
}

}  // namespace

Variable deeplab_loss(const Variable& logits, const Tensor& labels, DeepLabLoss loss) {
  if (loss == DeepLabLoss::kPlain)
    return cross_entropy(logits, labels, Reduction::kMean, kIgnoredLabel);
  const Tensor weights = balanced_weights(labels).cast(logits.dtype()).to(logits.device());
  return cross_entropy(logits, labels, Reduction::kSum, kIgnoredLabel, weights);
}

}  // namespace bbam
