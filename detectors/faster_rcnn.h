// Faster R-CNN with a feature pyramid [Ren et al., NIPS 2015; Lin et al., CVPR 2017]: the detector
// that BBAM asks (METHOD A1, B1).
//
// Images are (N, H, W, 3), mean-subtracted; frames say which part of each is picture. Boxes are in
// pixels of these images. Class 0 is background.
#pragma once
#include <vector>

#include "detectors/detector.h"
#include "detectors/roi_heads.h"
#include "detectors/rpn.h"
#include "layers/fpn.h"
#include "layers/resnet.h"

namespace bbam {

// The defaults are METHOD B1 with 20 classes.
struct FasterRcnnSpec {
  int64_t classes = 20;  // without background
  ResNetSpec resnet = {.depth = 101};
  FpnSpec fpn = {};
  int freeze_stages = 2;  // stem and res2; 0 trains everything
  RpnSpec rpn = {};
  RoiHeadsSpec roi_heads = {};
  DetectionSpec detection = {};
  bool legacy_plus_one = true;  // boxes.h

  // fasterrcnn_resnet50_fpn of torchvision 0.14.
  static FasterRcnnSpec torchvision(int64_t classes);
};

struct DetectorLosses {
  Variable objectness, rpn_box, classification, box;  // METHOD B1
  Variable total() const;                             // their sum
};
// objectness, rpn_box, classification, box
StepLosses step_losses(const DetectorLosses& losses);

// What a further head on the same features, such as a mask branch, is trained on.
struct TrainingPass {
  std::vector<Variable> features;  // P2..P5
  RoiSample rois;
  DetectorLosses losses;
};

// What a further head looks at in inference.
struct DetectionPass {
  std::vector<Variable> features;      // P2..P5
  std::vector<Detections> detections;  // one entry per image
};

class FasterRcnn : public Detector {
 public:
  // Starting weights depend on (spec, seed) alone. Throws Error when the spec contradicts itself.
  FasterRcnn(const FasterRcnnSpec& spec, uint64_t seed);
  const FasterRcnnSpec& spec() const { return spec_; }

  // ---- training and inference
  // Random choices depend on `step` alone.
  DetectorLosses training_losses(const Tensor& images, const std::vector<FrameSize>& frames,
                                 const std::vector<GroundTruth>& truth, StepSeed step);
  TrainingPass training_pass(const Tensor& images, const std::vector<FrameSize>& frames,
                             const std::vector<GroundTruth>& truth, StepSeed step);
  StepLosses losses_on(const DetectorBatch& batch, StepSeed step) override;
  std::vector<std::string> loss_names() const override;
  std::vector<Detections> detect(const Tensor& images,
                                 const std::vector<FrameSize>& frames) override;
  DetectionPass detection_pass(const Tensor& images, const std::vector<FrameSize>& frames);
  void set_training(bool training) override { body_.set_training(training); }

  // ---- the stages
  // P2..P5.
  std::vector<Variable> features(const Variable& images);
  // The same as far as box_head() reads them for these RoIs; elsewhere they are 0, and levels that
  // no RoI lies on are undefined.
  std::vector<Variable> features_for(const Variable& images, const Tensor& rois);
  // On P2..P5 and P6, which is every second pixel of P5.
  RpnOutput rpn(const std::vector<Variable>& features) const;
  std::vector<Proposals> propose(const RpnOutput& output, const std::vector<FrameSize>& frames,
                                 const ProposalSpec& spec) const;
  // rois: (R, 5) of image, x0, y0, x1, y1. Differentiable with respect to the features.
  BoxHeadOutput box_head(const std::vector<Variable>& features, const Tensor& rois) const;
  // (R, 4 (C + 1)): the boxes that deltas, (R, 4 (C + 1)), make of the RoIs; not clipped.
  Tensor decode(const Tensor& deltas, const Tensor& rois) const;
  // Which of P2..P5 these RoIs are pooled from.
  std::vector<bool> levels_of(const Tensor& rois) const;

  // backbone.body.*, backbone.fpn.*, rpn.head.*, roi_heads.*
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  FasterRcnn(const FasterRcnnSpec& spec, Initializer init);

  FasterRcnnSpec spec_;
  ResNet body_;
  Fpn fpn_;
  RpnHead rpn_head_;
  BoxHead box_head_;
};

}  // namespace bbam
