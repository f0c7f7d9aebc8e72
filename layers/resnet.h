// ResNet [He et al., CVPR 2016] as the trunk of detectors and segmenters.
#pragma once
#include <vector>

#include "layers/module.h"

namespace bbam {

inline constexpr double kNormEpsilon = 1e-5;  // added to variances

// How the activations behind a convolution are normalised.
//   kFrozen  a fixed affine map from stored statistics (Detectron): folded into the convolution
//   kBatch   batch normalisation, trained
//   kGroup   group normalisation, trained
enum class Norm { kFrozen, kBatch, kGroup };

struct ResNetSpec {
  int depth = 50;             // 18, 34, 50, 101 or 152
  bool stride_in_1x1 = true;  // bottlenecks: MSRA and Caffe weights; false: torchvision's 3x3
  Norm norm = Norm::kFrozen;
  int groups = 32;      // of kGroup
  int stem_width = 64;  // channels of the stem; the stages have 1, 2, 4, 8 times as many
  // Added to each variance. DIFFERS: the frozen norm of maskrcnn-benchmark (METHOD B1) adds none.
  double epsilon = kNormEpsilon;
  // Stride of C5: 32, 16 or 8. Below 32 the strides that would exceed it become dilations (res5 of
  // 16: 2; res4 and res5 of 8: 2 and 4) of every 3x3 convolution of the stage, its first block's
  // too, as in DeepLab (METHOD B5). DIFFERS: torchvision's first block keeps the dilation before.
  int output_stride = 32;
  bool ceil_mode_pool = false;  // the stem's pooling keeps windows that stick out (METHOD B5)
};

// A convolution without bias, its normalisation, and what may follow.
struct ConvNorm : Module {
  Variable weight;                     // (Cout, kh, kw, Cin)
  Variable gamma, beta;                // (Cout)
  Variable running_mean, running_var;  // (Cout); not with kGroup
  Conv2dSpec spec;
  Norm norm = Norm::kFrozen;
  int groups = 32;
  double epsilon = kNormEpsilon;
  // kBatch: batch statistics, and running ones updated; not where gamma is frozen, which makes the
  // whole norm constant.
  bool training = false;

  ConvNorm() = default;
  ConvNorm(Tensor weight_value, Conv2dSpec conv_spec, const ResNetSpec& spec);
  // act(norm(conv(x)) + residual)
  Variable forward(const Variable& x, bool relu, const Variable& residual = {});
  void visit_as(const std::string& conv, const std::string& bn, const ParameterVisitor& f);
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  Variable forward_frozen(const Variable& x, bool relu, const Variable& residual);
  // Scale and shift of a frozen norm, and weight * scale where the weight is constant too; kept
  // while none of their sources is written to.
  struct Folded {
    std::vector<Tensor::Identity> sources;
    Tensor scale, shift, weight;
  };
  void refold();
  Folded folded_;
};

struct ResidualBlock {
  std::vector<ConvNorm> convs;  // two 3x3, or 1x1, 3x3, 1x1
  ConvNorm shortcut;            // 1x1, where the extent or the width changes
  bool has_shortcut = false;

  Variable forward(const Variable& x);
};

class ResNet : public Module {
 public:
  ResNet(const ResNetSpec& spec, Initializer& init);

  // images (N, H, W, 3), mean-subtracted. Returns C2, C3, C4, C5 at strides 4, 8, 16, 32, none
  // above the spec's output_stride.
  std::vector<Variable> forward(const Variable& images);
  // Channels of C2..C5.
  std::vector<int> widths() const;
  // Makes the stem (1), or the stem and the first stages - 1 residual stages (2: stem and res2, as
  // FREEZE_CONV_BODY_AT) constant, norms and their statistics included. Frozen norms are constant
  // in any case.
  void freeze_stages(int stages);
  void set_training(bool training);
  // conv1, bn1, layer1.0.conv1, layer1.0.bn1, ..., layer1.0.downsample.0, ...
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  template <class F>
  void each_conv(F&& f);

  ResNetSpec spec_;
  ConvNorm stem_;
  std::vector<std::vector<ResidualBlock>> stages_;
};

}  // namespace bbam
