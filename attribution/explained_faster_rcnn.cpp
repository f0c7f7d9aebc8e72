#include "attribution/explained_faster_rcnn.h"

#include <algorithm>

#include "detectors/box_coder.h"
#include "detectors/boxes.h"

namespace bbam {

ExplainedFasterRcnn::ExplainedFasterRcnn(FasterRcnn& detector) : detector_(detector) {
  freeze(detector);
  detector.set_training(false);
}

BoxPredictions ExplainedFasterRcnn::predict(const Variable& images, const Tensor& rois) {
  return heads(detector_.features_for(images, rois), rois);
}

std::vector<Variable> ExplainedFasterRcnn::features(const Variable& images) {
  return detector_.features(images);
}

BoxPredictions ExplainedFasterRcnn::heads(const std::vector<Variable>& features,
                                          const Tensor& rois) {
  const BoxHeadOutput output = detector_.box_head(features, rois);
  return {output.class_logits, output.deltas};
}

Tensor ExplainedFasterRcnn::decode(const Tensor& offsets, const Tensor& proposals, int64_t height,
                                   int64_t width) const {
  const FasterRcnnSpec& spec = detector_.spec();
  const Tensor boxes = decode_boxes(offsets, proposals, spec.roi_heads.coder);
  return clip_boxes(boxes, {.height = height, .width = width}, spec.legacy_plus_one);
}

// The level of the box itself, and so of most of its jittered proposals.
int ExplainedFasterRcnn::cost_group(const BoxArray& box) const {
  const Tensor roi = Tensor::from<float>({0, box[0], box[1], box[2], box[3]}, {1, 5});
  const std::vector<bool> levels = detector_.levels_of(roi);
  return int(std::find(levels.begin(), levels.end(), true) - levels.begin());
}

}  // namespace bbam
