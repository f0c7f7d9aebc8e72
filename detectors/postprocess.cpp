#include "detectors/postprocess.h"

#include <algorithm>
#include <vector>

#include "layers/nms.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

// Every pair of RoI and class whose score is above the threshold and whose box is large enough.
Detections candidates(const Tensor& probabilities, const Tensor& clipped,
                      const DetectionSpec& spec) {
  const std::vector<float> scores = probabilities.to_vector<float>();
  const std::vector<float> corners = clipped.to_vector<float>();
  const int64_t rois = probabilities.dim(0), columns = probabilities.dim(1);
  std::vector<float> kept_boxes, kept_scores;
  std::vector<int64_t> kept_labels;
  for (int64_t r = 0; r < rois; ++r)
    for (int64_t c = 1; c < columns; ++c) {
      const int64_t i = r * columns + c;
      const Box<float> box = box_at(corners.data(), i);
      const bool is_large = std::min(box.x1 - box.x0, box.y1 - box.y0) >= float(spec.min_side_px);
      if (!(scores[size_t(i)] > float(spec.score_threshold)) || !is_large) continue;
      kept_boxes.insert(kept_boxes.end(), {box.x0, box.y0, box.x1, box.y1});
      kept_scores.push_back(scores[size_t(i)]);
      kept_labels.push_back(c);
    }
  const auto count = int64_t(kept_scores.size());
  return {Tensor::from(kept_boxes, {count, 4}), Tensor::from(kept_scores),
          Tensor::from(kept_labels)};
}

}  // namespace

Detections suppress(const Detections& all, const DetectionSpec& spec) {
  const Tensor kept = batched_nms(all.boxes, all.scores, all.labels, spec.nms_iou);
  const Tensor best = kept.rows(0, std::min(spec.most, kept.dim(0)));
  return {take_rows(all.boxes, best), take_rows(all.scores, best), take_rows(all.labels, best)};
}

Detections postprocess(const Tensor& probabilities, const Tensor& boxes, FrameSize frame,
                       const DetectionSpec& spec, bool legacy_plus_one) {
  check_shape(probabilities, {-1, -1}, "postprocess: probabilities");
  check_shape(boxes, {probabilities.dim(0), 4 * probabilities.dim(1)}, "postprocess: boxes");
  const Tensor clipped = clip_boxes(boxes.reshape({-1, 4}), frame, legacy_plus_one);
  const Detections all = candidates(probabilities.to(kCpu).cast(DType::kF32),
                                    clipped.to(kCpu).cast(DType::kF32), spec);
  return suppress(all, spec);
}

}  // namespace bbam
