// From probabilities to labels.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// scores: (H, W, C) f32, 1 <= C <= 255 -> (H, W) u8: the class of the greatest, of equal ones the
// first. Throws Error for other types and shapes.
Tensor class_map(const Tensor& scores);

}  // namespace bbam
