// From a coarse attribution map to a foreground probability at image size [METHOD A7, before the
// CRF]. All maps are f32 (H, W) on one device; boxes are pixels of the photograph, half-open.
// Results are new tensors. Throws Error for maps of another rank and constants out of range.
#pragma once
#include "attribution/explained_detector.h"

namespace bbam {

// A box cut to whole pixels of an image: rows [y0, y1), columns [x0, x1), at least one pixel.
struct PixelRect {
  int64_t x0, y0, x1, y1;
  int64_t area() const { return (x1 - x0) * (y1 - y0); }
};
PixelRect pixel_rect(const BoxArray& box, int64_t height, int64_t width);

// The map (h, w) at image size (height, width), resized as a picture is (half-pixel corners), 0
// outside the box and linearly rescaled so that its least value inside is 0 and its greatest 1. A
// map that is constant there becomes 0 if it is 0, else 1.
Tensor rescaled_map(const Tensor& map, const PixelRect& box, int64_t height, int64_t width);

// Each value inside the box becomes the share of the box's pixels below it, of equal values the
// middle: evenly spread over [0, 1] with mean 1/2, whatever the map's own scale; 0 outside.
Tensor rank_normalised(const Tensor& map, const PixelRect& box);

// Divides by the value at rank box area · (1 − θ), counted from the greatest, and clips to 1: the
// share 1 − θ of the box becomes certain. Where that value is 0, everything above 0 becomes
// certain.
Tensor divide_by_rank(const Tensor& map, const PixelRect& box, double theta);

// σ of the blur: 16 + 48 √(box area / image area), truncated to whole pixels. Those are pixels of
// photographs as VOC has them; with a `reference_long_side_px` (500 for VOC), images of another
// size get a blur in proportion. At least 1.
int blur_sigma_px(const PixelRect& box, int64_t height, int64_t width,
                  double reference_long_side_px = 0);
// Separable Gaussian, 2 σ + 1 taps each way, mirrored at the border without repeating the edge.
Tensor gaussian_blur(const Tensor& map, int sigma_px);

// The authors' way from a map (h, w) to the CRF's probability (height, width): the whole map is
// rescaled to [0, 1], resized as a picture is, cut to the box, divided by its value at the rank
// of θ, blurred, cut to the box again, and divided by its greatest value, so that a blur that
// spreads few certain pixels over the box does not leave all of it improbable. (Their program also
// subtracts the least value, which there is 0: its boxes never reach the last row and column.)
Tensor authors_probability(const Tensor& map, const PixelRect& box, double theta, int64_t height,
                           int64_t width, double blur_reference_long_side_px);

// `value` inside the box, 0 outside.
Tensor filled_box(const PixelRect& box, double value, int64_t height, int64_t width, Device device);
// A copy of `map` that is 0 outside the box.
Tensor zero_outside(const Tensor& map, const PixelRect& box);

}  // namespace bbam
