// Kernels behind Tensor::fill and Tensor::cast.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace bbam {

void fill_values(Stream stream, void* values, DType dtype, int64_t count, double value);
// Overwrites `to`. Floats are truncated towards zero when the target is an integer.
void convert(Stream stream, const void* from, DType from_type, void* to, DType to_type,
             int64_t count);

}  // namespace bbam
