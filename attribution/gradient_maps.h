// The gradient-based attribution maps that the paper compares with [BBAM, section 5, "Comparison
// with gradient-based methods", figures 7c and 8]: what a score of one object owes to each pixel of
// the network's input, to first order.
//
// A score S is read from the heads' answers for an object's proposals and averaged over them. All
// maps are (H, W) f32 on the image's device, of 0 or more, in the units of the gradient: not
// normalised. Without proposals they are 0. image: (1, H, W, 3), f32 or f64, mean-subtracted. The
// detector is frozen. Errors: an image of another shape, labels that the detector does not know,
// options out of range.
#pragma once
#include "attribution/positives.h"

namespace bbam {

// What the heads' scores are; the paper does not say. kClass: the probability p^c. kBox: ‖t^c‖₁,
// since what the objective has instead, the distance from the unperturbed answer (METHOD A3), is at
// its least there and has no gradient. kBoth: their sum.
enum class ScoreOf { kClass, kBox, kBoth };

// (R): the score of each row of the predictions.
Variable scores(const BoxPredictions& predictions, int64_t label, ScoreOf score);

// max over channels of |∂S/∂I| [Simonyan et al., ICLR workshop 2014, section 3.1].
Tensor simple_grad(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                   ScoreOf score = ScoreOf::kBoth);

struct SmoothGradSpec {
  int samples = 50;     // n
  double noise = 0.15;  // σ as a share of the image's range of values, greatest less least
  uint64_t seed = 0;
  int batch = 4;  // noisy images that the detector sees at once
};

// SimpleGrad of the mean gradient over n images with normal noise: the signs of ∂S/∂I are kept
// until the mean is taken [Smilkov et al., arXiv 1706.03825].
Tensor smooth_grad(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                   ScoreOf score = ScoreOf::kBoth, const SmoothGradSpec& spec = {});

// Grad-CAM [Selvaraju et al., ICCV 2017, equations 1 and 2] on the layers that the proposals are
// pooled from, for Faster R-CNN levels of the pyramid:
//   α_k = 1/Z Σ_ij ∂S/∂A^k_ij     map = ReLU(Σ_k α_k A^k), resized bilinearly to the image
// and summed over the layers. Z is the number of places of the finest of these layers for all of
// them, so that what a proposal counts does not hang on the layer that it is pooled from. Layers
// are seen as a whole, also where no proposal lies.
Tensor grad_cam(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                ScoreOf score = ScoreOf::kBoth);

}  // namespace bbam
