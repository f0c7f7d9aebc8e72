// Any weights file, told apart by its content.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "layers/safetensors.h"

namespace bbam {

struct WeightsFile {
  std::string format;  // "safetensors", "PyTorch zip", "PyTorch legacy" or "NumPy pickle"
  TensorMap tensors;   // under the file's own names and in its own layout
  std::map<std::string, std::string> metadata;  // safetensors only
  std::vector<std::string> groups;   // pickles only: names of the dicts in the outermost dict
  std::vector<std::string> ignored;  // pickles only: "name: kind" of what is not a tensor
};

// Everything in the file. Throws Error naming the file and what is wrong with it.
WeightsFile read_weights_file(const std::string& path);

// The network's tensors: those of the pickled dict 'state_dict', 'model_state_dict', 'model' or
// 'blobs' if there is one (so not the optimiser's beside it), else all; without the prefix
// "module." of DataParallel if all have it. Throws Error also when there are none. Sets *format as
// above.
TensorMap read_weights(const std::string& path, std::string* format = nullptr);

// The entries whose names begin with `prefix`, without it.
TensorMap below(const TensorMap& tensors, const std::string& prefix);
// The same map when any name lacks the prefix.
TensorMap strip_prefix(const TensorMap& tensors, const std::string& prefix);

// Convolution weights between PyTorch's layout (Cout, Cin, kh, kw) and ours (Cout, kh, kw, Cin);
// host f32 of rank 4, else Error. Returns a new tensor.
Tensor oihw_to_ohwi(const Tensor& weights);
Tensor ohwi_to_oihw(const Tensor& weights);

}  // namespace bbam
