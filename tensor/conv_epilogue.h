// What follows a convolution when the library cannot fuse it.
#pragma once
#include "tensor/dnn.h"

namespace bbam {

// In place: y = act(y + bias + residual).
void apply_epilogue(const ConvEpilogue& epilogue, Tensor& y);

}  // namespace bbam
