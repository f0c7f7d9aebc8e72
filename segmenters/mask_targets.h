// What each cell of a region's mask is trained on: the seeds of METHOD A11, from the object's mask
// on the picture (METHOD B2).
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

// Labels of cells. The object's masks on the picture use the same numbers.
inline constexpr uint8_t kBackgroundSeed = 0, kForegroundSeed = 1, kNoSeed = 255;

// The seeds of P regions of interest, (P, side, side) u8 on the device of `rois`.
//   masks     per image (K, h, w) u8 of the network's input without padding, any device: 1 object,
//             0 background, 255 ignored
//   rois      (P, 5) f32: image, x0, y0, x1, y1 in pixels of the network's input, half-open
//   objects   (P) i64: which of its image's K masks each region is matched to
//
// The region is divided into side x side equal cells. T(mask) is where the mask covers at least
// half of a cell, by exact area: pixel p is the square [p, p + 1], and what lies outside the
// picture is not covered. Then
//   foreground   T(mask is 1)
//   background   not T(mask is 1 or 255)
//   no seed      the rest
// DIFFERS from the authors' program, which has no mask per pixel but polygons: it moves their
// corners into the region and fills them on the grid of cells, where the centre of a cell decides.
// It also spans the region from its first to its last pixel, one pixel less each way.
//
// Throws Error for wrong shapes or types, an image or object that there is not, and a region that
// is not finite or has no area. These are looked at on the host.
Tensor mask_targets(const std::vector<Tensor>& masks, const Tensor& rois, const Tensor& objects,
                    int64_t side);

}  // namespace bbam
