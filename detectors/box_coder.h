// How a box is written relative to a reference box [Girshick 2014, R-CNN, appendix C]:
//   tx = wx (cx - cx_ref) / w_ref    tw = ww log(w / w_ref)    and the same for y and h,
// where (cx, cy) is the centre. A network regresses (tx, ty, tw, th).
#pragma once
#include <array>

#include "tensor/tensor.h"

namespace bbam {

inline constexpr double kLargestLogScale = 4.135166556742356;  // log(1000 / 16), METHOD B1

struct BoxCoderSpec {
  std::array<double, 4> weights{1, 1, 1, 1};    // wx, wy, ww, wh
  double largest_log_scale = kLargestLogScale;  // tw / ww and th / wh are cut there when decoding
};
inline constexpr BoxCoderSpec kRpnCoder{};                                  // METHOD B1
inline constexpr BoxCoderSpec kRoiCoder{{10, 10, 5, 5}, kLargestLogScale};  // METHOD B1

// (R, 4) from boxes and references, (R, 4) each, one float type and device. References must have
// positive sides, boxes too (the logarithm); not checked here.
Tensor encode_boxes(const Tensor& boxes, const Tensor& references, const BoxCoderSpec& spec);

// (R, 4 K): boxes from deltas (R, 4 K), K per reference (R, 4), for example one per class.
Tensor decode_boxes(const Tensor& deltas, const Tensor& references, const BoxCoderSpec& spec);

}  // namespace bbam
