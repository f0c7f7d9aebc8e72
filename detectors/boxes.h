// Boxes: tensors (R, 4) of x0, y0, x1, y1 in pixels of the network's input.
//
// Boxes are half-open everywhere in this program: width = x1 - x0. Older detectors (METHOD B1)
// store the last pixel instead and add 1 to every width. With x1 = last + 1 their areas, IoU, box
// coder, NMS and level rule are exactly ours, so those need no switch. Three places remain where
// the convention shows, and only they ask for `legacy_plus_one`: clipping, the straddle rule of
// anchors, and RoIAlign, which was handed the last pixel as the corner.
#pragma once
#include <cstdint>

#include "tensor/math.h"
#include "tensor/tensor.h"

namespace bbam {

// The part of a padded batch that is picture.
struct FrameSize {
  int64_t height = 0, width = 0;
  bool operator==(const FrameSize&) const = default;
};

template <class T>
struct Box {
  T x0, y0, x1, y1;
};

template <class T>
HD Box<T> box_at(const T* boxes, int64_t i) {
  return {boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
}

template <class T>
HD T area(const Box<T>& box) {
  return max_(box.x1 - box.x0, T(0)) * max_(box.y1 - box.y0, T(0));
}

// Area of the intersection over area of the union; 0 where both boxes are empty.
template <class T>
HD T iou(const Box<T>& a, const Box<T>& b) {
  const Box<T> common{max_(a.x0, b.x0), max_(a.y0, b.y0), min_(a.x1, b.x1), min_(a.y1, b.y1)};
  const T intersection = area(common);
  const T both = area(a) + area(b) - intersection;
  return both > T(0) ? intersection / both : T(0);
}

// Between the picture's edges. Under legacy_plus_one both corners are first and last pixels, so at
// least one pixel remains of any box.
template <class T>
HD Box<T> clip(const Box<T>& box, T width, T height, bool legacy_plus_one) {
  const T kept = legacy_plus_one ? T(1) : T(0);
  return {clamp_(box.x0, T(0), width - kept), clamp_(box.y0, T(0), height - kept),
          clamp_(box.x1, kept, width), clamp_(box.y1, kept, height)};
}

// (A, B) from a: (A, 4) and b: (B, 4), both f32 or both f64 on one device.
Tensor iou_matrix(const Tensor& a, const Tensor& b);
// A new tensor of the same shape.
Tensor clip_boxes(const Tensor& boxes, FrameSize frame, bool legacy_plus_one);
// (R) u8: 1 where both sides are at least `side_px`.
Tensor at_least(const Tensor& boxes, double side_px);

}  // namespace bbam
