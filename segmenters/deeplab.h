// DeepLab-v2 [Chen, Papandreou, Kokkinos, Murphy, Yuille, TPAMI 2018]: a ResNet of stride 8 and
// atrous spatial pyramid pooling (ASPP), asked at several scales. Constants are METHOD B5's, those
// of the public program kazuto1011/deeplab-pytorch, which repeats the paper's Caffe settings.
//
// C classes with background, which is class 0. Images are (N, H, W, 3), mean-subtracted BGR; labels
// (N, H, W) u8, 0 .. C - 1, or kIgnoredLabel where nothing is learnt.
#pragma once
#include <vector>

#include "layers/resnet.h"
#include "segmenters/deeplab_loss.h"

namespace bbam {

// Norms are frozen by default: statistics and affine (METHOD B5). Batch norms, where asked for,
// keep their statistics too.
struct DeepLabSpec {
  int64_t classes = 21;  // with background
  ResNetSpec resnet = {.depth = 101, .output_stride = 8, .ceil_mode_pool = true};
  std::vector<int> aspp_rates = {6, 12, 18, 24};
  std::vector<double> scales = {0.5, 0.75};  // beside 1; at least one
  DeepLabLoss loss = DeepLabLoss::kPlain;    // in training
};

// The sum of 3x3 convolutions of different dilations [section 3.2].
struct Aspp : Module {
  std::vector<Conv2d> branches;

  Aspp() = default;
  Aspp(int64_t channels, int64_t classes, const std::vector<int>& rates, Initializer& init);
  Variable operator()(const Variable& features) const;  // (N, h, w, channels) -> (N, h, w, C)
  void visit(const std::string& prefix, const ParameterVisitor& f) override;  // c0, c1, ...
};

struct MultiScaleLogits {
  std::vector<Variable> of_scale;  // at scale 1, then at those of the spec; each of its own extent
  Variable maximum;                // over all of them, resized to the first's extent
};

struct DeepLabLosses {
  std::vector<Variable> of_scale;
  Variable maximum;
  Variable total() const;  // their sum
};

class DeepLab : public Module {
 public:
  // Starting weights depend on (spec, seed) alone. Throws Error when the spec makes no sense.
  DeepLab(const DeepLabSpec& spec, uint64_t seed);
  const DeepLabSpec& spec() const { return spec_; }

  // (N, H, W, 3) -> (N, h, w, C); h is about H / 8: 41 for 321.
  Variable logits(const Variable& images);
  // The image at each scale, floor(scale * extent), and their logits; resizing is bilinear with
  // half-pixel corners, both ways, by the ratio of the extents. DIFFERS: from 1.6 on PyTorch's
  // interpolate(scale_factor) takes the factor asked for, which an odd extent only comes near.
  MultiScaleLogits multi_scale_logits(const Variable& images);
  // Cross entropies of all outputs against resized labels (deeplab_loss).
  DeepLabLosses losses(const Variable& images, const Tensor& labels);

  // backbone.body.*, aspp.c0.*, ...
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  DeepLab(const DeepLabSpec& spec, Initializer init);

  DeepLabSpec spec_;
  ResNet body_;
  Aspp aspp_;
};

// labels (N, H, W) u8 -> (N height width) i64 on the host: the label under the middle of each
// output pixel, as PIL's nearest resize. (PyTorch's takes the corner, a shift of half a cell of 8
// pixels.) The public program exchanges height and width there, which its square crops hide.
Tensor resize_labels(const Tensor& labels, int64_t height, int64_t width);

}  // namespace bbam
