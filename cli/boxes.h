// Boxes of a data set as the attribution takes them: both in pixels of the photograph, half-open.
#pragma once
#include "attribution/map_to_probability.h"
#include "datasets/image.h"

namespace bbam {

inline BoxArray array_of(const PixelBox& box) { return {box.x0, box.y0, box.x1, box.y1}; }

inline PixelRect pixel_rect(const PixelBox& box, ImageSize size) {
  return pixel_rect(array_of(box), size.height, size.width);
}

}  // namespace bbam
