// What torch.save wrote: checkpoints and state dicts of PyTorch (.pth, .pt, .th).
//
// Two containers. Since PyTorch 1.6 a zip archive: <name>/data.pkl, a pickle in which each storage
// is a reference, and <name>/data/<key>, the numbers. Before, a stream of pickles (magic number,
// protocol 1001, system, the object, the keys) and then the numbers of each key. No code is run.
#pragma once
#include <string>
#include <vector>

#include "layers/safetensors.h"

namespace bbam {

struct TorchFile {
  TensorMap tensors;                 // "state_dict.conv1.weight": keys joined with '.'
  std::vector<std::string> groups;   // names of the dicts in the outermost dict
  std::vector<std::string> ignored;  // the rest: "best_prec1: float"
};

// Host tensors of their own memory, dense: strided, offset, shared and expanded storages are
// gathered. Float, Double, Int, Long and Byte storages keep their type, Half and BFloat16 become
// f32, Bool u8. A tensor without a name (the file holds just one) is called "tensor". Throws Error
// naming the file, and the tensor where there is one.
TorchFile read_torch_file(const std::string& path);

// By the first bytes: is it one of the two containers?
bool looks_like_torch_zip(std::string_view first_bytes);
bool looks_like_torch_legacy(std::string_view first_bytes);

}  // namespace bbam
