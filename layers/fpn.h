// Feature pyramid network [Lin et al., CVPR 2017].
#pragma once
#include <vector>

#include "layers/module.h"
#include "layers/window.h"

namespace bbam {

// How the coarser level is brought to the finer one's extent before they are added.
//   kBilinear  to the lateral's exact extent, half-pixel corners (the BBAM authors' fork)
//   kNearest   to the lateral's exact extent (Lin et al., torchvision)
enum class TopDown { kBilinear, kNearest };

struct FpnSpec {
  int channels = 256;
  TopDown top_down = TopDown::kBilinear;
};

class Fpn : public Module {
 public:
  Fpn(const std::vector<int>& widths, const FpnSpec& spec, Initializer& init);

  // features: C2..C5; returns P2..P5, (N, H, W, channels).
  std::vector<Variable> forward(const std::vector<Variable>& features);
  // The same for a reader who says what is read: windows[level][n] of image n. Elsewhere a level
  // is 0; a level that no image needs is undefined, and so is the top-down path below it.
  std::vector<Variable> forward(const std::vector<Variable>& features,
                                const std::vector<std::vector<Window>>& windows);
  // inner_blocks.L.weight (1x1 laterals), layer_blocks.L.weight (3x3 outputs), L = 0 for P2.
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  // The sum of laterals from the coarsest level down to `finest`; finer ones are undefined.
  std::vector<Variable> top_down(const std::vector<Variable>& features, size_t finest) const;

  FpnSpec spec_;
  std::vector<Conv2d> laterals_, outputs_;
};

// What P6 is made from.
//   kC5  the trunk's last stage (Lin et al., maskrcnn-benchmark)
//   kP5  the pyramid's last level (torchvision's first RetinaNet)
enum class P6From { kC5, kP5 };

// P6 and P7 above the pyramid [Lin et al. 2017, Focal Loss, section 4]: 3x3 convolutions of stride
// 2, P7 on ReLU(P6).
struct ExtraLevels : Module {
  Conv2d p6, p7;

  // in_channels: of what P6 is made from.
  ExtraLevels(int in_channels, int channels, Initializer& init);
  std::vector<Variable> operator()(const Variable& x) const;
  // p6.weight, ..., p7.bias
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

}  // namespace bbam
