// Pickles of NumPy arrays by name: Detectron's and Detectron2's .pkl, also MSRA's converted nets.
//
// A dict of arrays, bare or below 'blobs' or 'model', by Python 2 or 3. No code is run.
#pragma once
#include <string>
#include <vector>

#include "layers/safetensors.h"

namespace bbam {

struct DetectronFile {
  TensorMap tensors;                 // "blobs.conv1_w": keys joined with '.'; layout as in the file
  std::vector<std::string> groups;   // names of the dicts in the outermost dict
  std::vector<std::string> ignored;  // the rest: "cfg: string"
};

// Host tensors of their own memory, in C order whatever the file's. Reads f4, f8, i4, i8, u1 as
// they are, f2 as f32, b1 as u8. Throws Error naming the file, and the array where there is one.
DetectronFile read_detectron_file(const std::string& path);

// By the first bytes: a pickle, of protocol 2 or later or of a dict?
bool looks_like_pickle(std::string_view first_bytes);

}  // namespace bbam
