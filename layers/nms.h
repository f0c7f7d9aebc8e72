// Non-maximum suppression: of boxes that overlap, the one with the highest score stays
// (Felzenszwalb et al. 2010, section 5; Girshick et al. 2014).
//
// boxes: (N, 4) f32 or f64, x0, y0, x1, y1; scores: (N) f32 or f64. Taken in descending order of
// score (ties by index, NaN last), a box is kept unless its IoU with a box kept before it is
// greater than the threshold. Returns the kept indices, (M) i64, in that order. IoUs are computed
// in double, so both devices decide alike; boxes without area neither suppress nor are suppressed.
// On a GPU this waits for the device, since M must be known. Shapes that do not fit throw Error.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

Tensor nms(const Tensor& boxes, const Tensor& scores, double iou_threshold);

// Boxes of different groups (classes, images, pyramid levels) never suppress each other.
// group: (N) i64, any values.
Tensor batched_nms(const Tensor& boxes, const Tensor& scores, const Tensor& group,
                   double iou_threshold);

}  // namespace bbam
