// Pictures in the colour spaces among which Selective Search diversifies [Uijlings 2013,
// section 3.2].
#pragma once
#include "tensor/tensor.h"

namespace bbam {

enum class ColorSpace {
  kRgb,
  kIntensity,  // one channel: the mean of R, G, B
  kLab,        // CIE L*a*b* of sRGB under D65; L* 0 to 100 as 0 to 255, a* and b* plus 128
  kRgI,        // R and G over R + G + B, and the intensity
  kHsv,
  kHue  // one channel: HSV's
};

const char* to_string(ColorSpace space);

// (H, W, C) f32, every channel from 0 to 255 (hue: once round the circle), from rgb: (H, W, 3) u8
// on the CPU. Grey pixels have hue 0, black ones also saturation 0 and r = g = 1/3. Throws Error
// for another shape or device.
Tensor to_color_space(const Tensor& rgb, ColorSpace space);

}  // namespace bbam
