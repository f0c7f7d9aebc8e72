// What DeepLab says of a photograph: class probabilities of every pixel, refined by a dense CRF.
#pragma once
#include <vector>

#include "segmenters/deeplab.h"
#include "segmenters/dense_crf.h"

namespace bbam {

// METHOD B5's test has neither: the photograph at its own size, and the maximum over the scales of
// the network's spec.
struct SemanticInferenceSpec {
  std::vector<double> scales = {1};  // of the photograph, before those of the network
  bool flip = false;                 // also asks for the mirrored photograph
};

// image: (H, W, 3), mean-subtracted, on the model's device -> (H, W, C) f32, summing to one: the
// softmax of the maximum over the network's scales, resized to the image (half-pixel corners), mean
// over the spec's scales and both directions. Records no history. Throws Error for no scale or one
// that leaves no pixels.
Tensor semantic_probabilities(DeepLab& model, const Tensor& image,
                              const SemanticInferenceSpec& spec = {});

// probabilities: (H, W, C) f32; photograph: (H, W, 3) u8, on the same device -> the marginals of
// the dense CRF (H, W, C). DIFFERS: the public program gives the CRF the picture less its mean, cut
// to 8 bits, in which dark pixels wrap around to bright ones.
Tensor refine_probabilities(const Tensor& probabilities, const Tensor& photograph,
                            const DenseCrfOptions& options = kDeepLabCrf);

}  // namespace bbam
