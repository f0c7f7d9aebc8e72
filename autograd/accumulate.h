// The arithmetic that the backward sweep itself needs.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// sum += term, element by element; same shape, type and device.
void accumulate(Tensor& sum, const Tensor& term);

}  // namespace bbam
