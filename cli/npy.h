// NumPy's .npy files, version 1.0: arrays of little-endian f32, row-major.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace bbam {

// Throws Error unless the tensor is f32.
void write_npy(const std::string& path, const Tensor& tensor);
// Throws Error naming the file for other types and orders, and for a file that is cut off.
Tensor read_npy(const std::string& path);

}  // namespace bbam
