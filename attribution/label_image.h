// The labels of single objects painted into one label image [METHOD A10].
#pragma once
#include <vector>

#include "attribution/explained_detector.h"

namespace bbam {

inline constexpr uint8_t kIgnoreLabel = 255;

struct PaintedObject {
  Tensor foreground, ignore;  // (H, W) u8 on the CPU; ignore may be undefined: nothing is
  BoxArray box{};
  int64_t class_label = 0;  // 1 to 254
};

struct LabelImage {
  Tensor classes;  // (H, W) u8: 0 background, class label, 255 ignored
  Tensor objects;  // (H, W) u8: 0 background, 1-based index of the object, 255 ignored
};

// A pixel belongs to the smallest box among the objects whose foreground it is: larger ones are
// painted first. It is ignored if it is also the foreground of another class whose box does not
// hold the smallest one wholly. The ignored bands come last, over the foreground of other objects
// too, as in the authors' program. Throws Error for masks of another shape, not on the CPU, or
// classes out of range.
LabelImage paint_labels(const std::vector<PaintedObject>& objects, int64_t height, int64_t width);

}  // namespace bbam
