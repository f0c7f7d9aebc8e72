#include "attribution/stride.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"

namespace bbam {

double adaptive_stride(double area_fraction) {
  check(area_fraction >= 0, "adaptive stride of a negative area fraction ", area_fraction);
  return 16 + 48 * std::sqrt(std::min(area_fraction, 1.0));
}

double scale_of_input(double height, double width) {
  return std::max(std::min(height, width) / 800, std::max(height, width) / 1333);
}

MaskGrid mask_grid(int64_t image_height, int64_t image_width, double stride_px,
                   GridRounding rounding) {
  check(stride_px > 0, "mask stride ", stride_px, "; expected a positive number of pixels");
  const auto cells = [&](int64_t side) {
    const double exact = double(side) / stride_px;
    const double rounded = rounding == GridRounding::kCeil ? std::ceil(exact) : std::floor(exact);
    return std::max<int64_t>(1, int64_t(rounded));
  };
  return {cells(image_height), cells(image_width), stride_px};
}

}  // namespace bbam
