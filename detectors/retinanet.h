// RetinaNet [Lin et al. 2017, Focal Loss]: a detector in one stage, on P3 to P7 of a feature
// pyramid. BBAM's authors have it as a variant (METHOD B1).
//
// Images are (N, H, W, 3), mean-subtracted; frames say which part of each is picture. Boxes are in
// pixels of these images. Labels of classes are 1 to C; there is no output for background.
#pragma once
#include <vector>

#include "detectors/detector.h"
#include "detectors/retinanet_loss.h"
#include "layers/fpn.h"
#include "layers/resnet.h"

namespace bbam {

// Sizes 32 to 512 on P3 to P7, at 3 scales per octave.
AnchorSpec retinanet_anchors();

// The defaults are those of maskrcnn-benchmark (METHOD B1) with 20 classes.
struct RetinaNetSpec {
  int64_t classes = 20;  // without background
  ResNetSpec resnet = {.depth = 101};
  FpnSpec fpn = {};
  P6From p6_from = P6From::kC5;
  int freeze_stages = 2;  // stem and res2; 0 trains everything
  AnchorSpec anchors = retinanet_anchors();
  int convolutions = 4;  // of each subnet, before its last
  double prior = 0.01;   // the probability that each class starts from
  RetinaNetLossSpec loss = {};
  int64_t candidates = 1000;  // per level and image: the best that enter NMS
  // NMS as maskrcnn-benchmark's RETINANET.NMS_TH; the paper has 0.5.
  DetectionSpec detection = {.nms_iou = 0.4};
  bool legacy_plus_one = true;  // boxes.h

  // retinanet_resnet50_fpn of torchvision 0.14. Its class of index c is our label c + 1: its COCO
  // weights have 91, the first of them never used.
  // DIFFERS: there the strides of anchors are the image's extent over the level's, floored, so that
  // those of images that are not multiples of 128 pixels stand closer.
  static RetinaNetSpec torchvision(int64_t classes);
};

class RetinaNet : public Detector {
 public:
  // Starting weights depend on (spec, seed) alone. Throws Error when the spec contradicts itself.
  RetinaNet(const RetinaNetSpec& spec, uint64_t seed);
  const RetinaNetSpec& spec() const { return spec_; }

  // ---- training and inference
  // Nothing is random: `step` is what other detectors sample by.
  RetinaNetLosses training_losses(const Tensor& images, const std::vector<FrameSize>& frames,
                                  const std::vector<GroundTruth>& truth, StepSeed step);
  StepLosses losses_on(const DetectorBatch& batch, StepSeed step) override;
  std::vector<std::string> loss_names() const override { return {"classification", "box"}; }
  std::vector<Detections> detect(const Tensor& images,
                                 const std::vector<FrameSize>& frames) override;
  void set_training(bool training) override { body_.set_training(training); }

  // ---- the stages
  // P3..P7.
  std::vector<Variable> features(const Variable& images);
  RetinaNetOutput head(const std::vector<Variable>& features) const { return head_(features); }
  // The anchors of levels of these extents, (N, H, W, C) each, on the CPU.
  std::vector<Tensor> anchors(const std::vector<Shape>& features) const;
  // Shapes (N, H, W, channels) of P3..P7 of N images of this size.
  std::vector<Shape> feature_shapes(int64_t images, int64_t height, int64_t width) const;

  // ---- single anchors. rois: (R, 5) of image, x0, y0, x1, y1, where each box is an anchor; others
  // throw Error.
  // P3..P7 as far as answers() reads them for these anchors; elsewhere they may be 0, and levels
  // that no anchor lies on undefined.
  std::vector<Variable> features_for(const Variable& images, const Tensor& rois);
  // Differentiable with respect to the features.
  AnchorAnswers answers(const std::vector<Variable>& features, const Tensor& rois) const;

  // backbone.body.*, backbone.fpn.*, backbone.fpn.extra_blocks.*, head.*
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  RetinaNet(const RetinaNetSpec& spec, Initializer init);

  RetinaNetSpec spec_;
  ResNet body_;
  Fpn fpn_;
  ExtraLevels extra_;
  RetinaNetHead head_;
};

}  // namespace bbam
