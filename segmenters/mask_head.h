// The mask branch of Mask R-CNN on a feature pyramid [He 2017, Mask R-CNN, section 3 and figure 4
// right]: a small fully convolutional network that draws, for each region of interest, one mask per
// class. Classes do not compete: each mask is a sigmoid of its own.
//
// R regions of interest (RoIs), C classes and background, which is class 0 and whose mask nobody
// asks for. Masks are M x M, M = 2 bins.
#pragma once
#include <vector>

#include "detectors/pooler.h"
#include "layers/module.h"

namespace bbam {

struct MaskHeadSpec {
  PoolerSpec pooler = {.bins = 14};  // METHOD B1
  int convs = 4;                     // METHOD B1
  int64_t width = 256;               // of the convolutions and of conv5_mask
};

// Four 3x3 convolutions with ReLU, a 2x2 transposed convolution of stride 2 with ReLU, and a 1x1
// convolution to the logits.
struct MaskHead : Module {
  std::vector<Conv2d> mask_fcn;
  Variable conv5_weight;  // (width, 2, 2, width): in, rows, columns, out
  Variable conv5_bias;    // (width)
  Conv2d mask_fcn_logits;

  // Throws Error for a spec without convolutions.
  MaskHead(int64_t channels, int64_t classes, const MaskHeadSpec& spec, Initializer& init);
  // pooled: (R, bins, bins, channels) -> logits (R, M, M, C + 1)
  Variable operator()(const Variable& pooled) const;
  // mask_head.mask_fcn1 and so on, mask_predictor.conv5_mask, mask_predictor.mask_fcn_logits
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

}  // namespace bbam
