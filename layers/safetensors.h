// safetensors: our checkpoints. A JSON header (type, shape and byte range of each tensor, and
// strings about the whole), then the numbers; readable by everyone, with no code in it.
// Layout: u64 header length, header, data; all little-endian.
#pragma once
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace bbam {

using TensorMap = std::map<std::string, Tensor>;  // sorted by name

struct SafetensorsFile {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

// Host tensors that wrap the mapped file where types and alignment allow, and so must not be
// written to (mutable_data throws; clone() first). Reads F32, F64, I32, I64, U8 as they are, F16
// and BF16 as f32, BOOL as u8. Throws Error naming the file and the tensor for a file that is cut
// off or breaks the format in any way: header, names, shapes, byte ranges that overlap or leave
// holes.
SafetensorsFile read_safetensors(const std::string& path);

// Overwrites `path` atomically (FileWriter). Same tensors and metadata, same bytes: tensors lie
// widest type first, then by name, so that each is aligned. Names are UTF-8. Throws Error.
void write_safetensors(const std::string& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace bbam
