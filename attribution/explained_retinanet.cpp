#include "attribution/explained_retinanet.h"

#include <algorithm>

#include "attribution/positives.h"
#include "detectors/box_coder.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {

ExplainedRetinaNet::ExplainedRetinaNet(RetinaNet& detector) : detector_(detector) {
  freeze(detector);
  detector.set_training(false);
}

BoxPredictions ExplainedRetinaNet::predict(const Variable& images, const Tensor& rois) {
  return heads(detector_.features_for(images, rois), rois);
}

std::vector<Variable> ExplainedRetinaNet::features(const Variable& images) {
  return detector_.features(images);
}

BoxPredictions ExplainedRetinaNet::heads(const std::vector<Variable>& features,
                                         const Tensor& rois) {
  const AnchorAnswers output = detector_.answers(features, rois);
  return {output.class_logits, output.deltas, ClassOutputs::kSigmoid};
}

Tensor ExplainedRetinaNet::candidates(const BoxArray& box, int64_t height, int64_t width,
                                      const PositiveSpec& spec, uint64_t) const {
  const auto of_levels = detector_.anchors(detector_.feature_shapes(1, height, width));
  const Tensor anchors =
      concat(std::vector<Variable>(of_levels.begin(), of_levels.end()), 0).value();
  const Tensor object = Tensor::from<float>({box[0], box[1], box[2], box[3]}, {1, 4});
  const Tensor overlaps = iou_matrix(object, anchors).reshape({-1});
  const Tensor best = top_k(overlaps, spec.proposals);
  const auto ious = take_rows(overlaps, best).to_vector<float>();  // descending
  const auto least = float(detector_.spec().loss.matcher.background_iou);
  const auto answering =
      std::count_if(ious.begin(), ious.end(), [=](float v) { return v >= least; });
  const int64_t kept = std::min(best.dim(0), std::max<int64_t>(answering, 1));
  return take_rows(anchors, best.rows(0, kept));
}

Tensor ExplainedRetinaNet::decode(const Tensor& offsets, const Tensor& proposals, int64_t height,
                                  int64_t width) const {
  const RetinaNetSpec& spec = detector_.spec();
  const Tensor boxes = decode_boxes(offsets, proposals, spec.loss.coder);
  return clip_boxes(boxes, {.height = height, .width = width}, spec.legacy_plus_one);
}

int ExplainedRetinaNet::cost_group(const BoxArray& box) const {
  const AnchorSpec& spec = detector_.spec().anchors;
  const Box<double> moved{0, 0, double(box[2]) - box[0], double(box[3]) - box[1]};
  double most = -1;
  int group = 0;
  for (int64_t level = 0; level < spec.levels(); ++level) {
    const auto cell = cell_anchors(spec, level).to_vector<float>();
    for (int64_t kind = 0; kind < spec.per_cell(); ++kind) {
      const Box<float> a = box_at(cell.data(), kind);
      const double overlap = iou(moved, {0, 0, double(a.x1) - a.x0, double(a.y1) - a.y0});
      if (overlap <= most) continue;
      most = overlap;
      group = int(level);
    }
  }
  return group;
}

}  // namespace bbam
