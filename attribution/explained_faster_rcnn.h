// A trained Faster R-CNN as the attribution method sees it: no RPN, no weight gradients, frozen
// norms folded into the convolutions, and only the pyramid levels that the proposals are pooled
// from.
#pragma once
#include "attribution/explained_detector.h"
#include "detectors/faster_rcnn.h"

namespace bbam {

class ExplainedFasterRcnn : public ExplainedDetector {
 public:
  // Freezes the detector, which must outlive this object.
  explicit ExplainedFasterRcnn(FasterRcnn& detector);

  BoxPredictions predict(const Variable& images, const Tensor& rois) override;
  std::vector<Variable> features(const Variable& images) override;  // P2..P5
  BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) override;
  Tensor decode(const Tensor& offsets, const Tensor& proposals, int64_t height,
                int64_t width) const override;
  int cost_group(const BoxArray& box) const override;

 private:
  FasterRcnn& detector_;
};

}  // namespace bbam
