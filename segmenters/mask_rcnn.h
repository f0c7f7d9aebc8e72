// Mask R-CNN [He et al., ICCV 2017]: Faster R-CNN with a third branch that draws a mask in each
// box, trained here on full masks or, as BBAM does, on seeds (METHOD A11, B1, B2).
//
// Images, frames and boxes are those of detectors/faster_rcnn.h.
#pragma once
#include "detectors/faster_rcnn.h"
#include "detectors/training.h"
#include "segmenters/mask_head.h"
#include "segmenters/seed_growing.h"

namespace bbam {

// The defaults are METHOD B1's table row BBAM_VOC_aug_FPN_R101_MaskRCNN.
struct MaskRcnnSpec {
  FasterRcnnSpec detector = {.rpn = {.anchors = {.sizes_px = {21, 42, 84, 168, 332}}}};
  MaskHeadSpec mask_head = {};
  MaskLoss loss = MaskLoss::kSeedGrowing;
  GrowingSpec growing = {};
};

struct MaskRcnnLosses {
  DetectorLosses detector;
  Variable mask;           // mask_loss of the true class's masks of all positive regions
  Variable total() const;  // their sum
};

// What is found on one picture.
struct SegmentedInstances {
  Detections detections;
  // (D, M, M) f32 on the CPU: for each detection the probabilities of its class over its box, M =
  // 28 cells wide and high; paste_mask (segmenters/paste_masks.h) brings them to pixels.
  Tensor masks;
};

class MaskRcnn : public Module {
 public:
  // Starting weights depend on (spec, seed) alone; those of the detector are a FasterRcnn's of the
  // same seed. Throws Error when the spec contradicts itself.
  MaskRcnn(const MaskRcnnSpec& spec, uint64_t seed);
  const MaskRcnnSpec& spec() const { return spec_; }
  FasterRcnn& detector() { return detector_; }

  // masks: per image (K, h, w) u8, one for each of its K boxes, of the size of its frame: 1 object,
  // 0 background, 255 ignored. Random choices depend on `step` alone. Throws Error for masks that
  // do not go with frames and boxes.
  MaskRcnnLosses training_losses(const Tensor& images, const std::vector<FrameSize>& frames,
                                 const std::vector<GroundTruth>& truth,
                                 const std::vector<Tensor>& masks, StepSeed step);
  // One entry per image; records no history. The mask branch looks at the boxes that were found.
  std::vector<SegmentedInstances> segment(const Tensor& images,
                                          const std::vector<FrameSize>& frames);
  // Logits (R, M, M, C + 1), of rois (R, 5). Differentiable with respect to the features.
  Variable mask_head(const std::vector<Variable>& features, const Tensor& rois) const;
  void set_training(bool training) { detector_.set_training(training); }

  // What FasterRcnn visits, then roi_heads.mask_head.*, roi_heads.mask_predictor.*
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  MaskRcnn(const MaskRcnnSpec& spec, uint64_t seed, Initializer init);

  MaskRcnnSpec spec_;
  FasterRcnn detector_;
  MaskHead mask_head_;
};

struct MaskRcnnBatch {
  DetectorBatch detector;
  std::vector<Tensor> masks;  // as training_losses() takes them
};

// A detector's terms, then mask.
StepLosses step_losses(const MaskRcnnLosses& losses);

// The step of detectors/training.h for these losses.
StepValues train_step(MaskRcnn& model, Optimizer& optimizer, const MaskRcnnBatch& batch,
                      double learning_rate, StepSeed step);

}  // namespace bbam
