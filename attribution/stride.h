// The size of a perturbation unit [BBAM, section 3.2; METHOD A2, A4].
#pragma once
#include <cstdint>

namespace bbam {

// s(a) = 16 + 48 √a: 16 for a point, 64 for a box that fills the image. a = box area / image area.
double adaptive_stride(double area_fraction);

// How many times as large as the paper's input an input is. The paper resizes to a short side of
// 800 pixels, or to a long side of 1333 where that is smaller.
double scale_of_input(double height, double width);

// How many cells a side of the image gets. The paper rounds up, the authors' program truncates.
enum class GridRounding { kCeil, kTruncate };

struct MaskGrid {
  int64_t height = 0, width = 0;
  double stride_px = 0;
};
// At least one cell each way. Throws Error unless stride_px > 0.
MaskGrid mask_grid(int64_t image_height, int64_t image_width, double stride_px,
                   GridRounding rounding);

}  // namespace bbam
