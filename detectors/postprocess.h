// From the box head's answers to detections [Girshick 2014, R-CNN, section 2.2].
#pragma once
#include "detectors/boxes.h"

namespace bbam {

struct Detections {
  Tensor boxes;   // (D, 4) f32 on the CPU, inside the picture
  Tensor scores;  // (D) f32, descending
  Tensor labels;  // (D) i64, 1 .. number of classes
};

struct DetectionSpec {
  double score_threshold = 0.05;  // METHOD B1; scores must be above
  double nms_iou = 0.5;           // METHOD B1; within a class
  int64_t most = 100;             // METHOD B1; per image, over all classes
  double min_side_px = 0;         // smaller boxes are dropped before NMS; 0 keeps all
};

// What the last steps leave of one image's candidates, on the CPU in any order: NMS within each
// class, then the best spec.most. Ties of scores go to the earlier candidate.
Detections suppress(const Detections& candidates, const DetectionSpec& spec);

// Of one image. probabilities: (R, C + 1), background first; boxes: (R, 4 (C + 1)), one per RoI and
// class, not yet clipped; any device. Ties of scores go to the earlier RoI, then the lower class.
Detections postprocess(const Tensor& probabilities, const Tensor& boxes, FrameSize frame,
                       const DetectionSpec& spec, bool legacy_plus_one);

}  // namespace bbam
