// A trained RetinaNet as the attribution method sees it. The paper says that one-stage detectors
// need no more than their box and class heads (section 6 of the paper); their regions are anchors,
// which cannot be jittered, so the anchors around an object take the place of its proposals.
#pragma once
#include "attribution/explained_detector.h"
#include "detectors/retinanet.h"

namespace bbam {

class ExplainedRetinaNet : public ExplainedDetector {
 public:
  // Freezes the detector, which must outlive this object.
  explicit ExplainedRetinaNet(RetinaNet& detector);

  // The RoIs must be anchors. Computed are the pyramid levels that they lie on, and the head around
  // them.
  BoxPredictions predict(const Variable& images, const Tensor& rois) override;
  std::vector<Variable> features(const Variable& images) override;
  BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) override;
  // The spec.proposals anchors of greatest IoU with the box, best first. Those that training calls
  // background for it (IoU below 0.4) are left out, but for the first. No use of jitter and seed.
  Tensor candidates(const BoxArray& box, int64_t height, int64_t width, const PositiveSpec& spec,
                    uint64_t seed) const override;
  Tensor decode(const Tensor& offsets, const Tensor& proposals, int64_t height,
                int64_t width) const override;
  // The level whose anchors have the most alike shape.
  int cost_group(const BoxArray& box) const override;

 private:
  RetinaNet& detector_;
};

}  // namespace bbam
