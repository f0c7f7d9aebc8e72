// The tensors that a PyTorch pickle describes, before their numbers are at hand. Shared by the zip
// and the legacy container; see torch_file.h.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "layers/number_format.h"
#include "layers/pickle.h"

namespace bbam {

// Persistent id ('storage', torch.FloatStorage, key, location, count).
struct TorchStorage {
  std::string key;
  NumberFormat format;
  int64_t count;

  uint64_t bytes() const { return uint64_t(count) * size_of(format); }
};

struct TorchTensor {
  std::string name;
  TorchStorage storage;
  int64_t offset;  // of the first element, in elements
  Shape shape;
  std::vector<int64_t> strides;  // in elements, one per axis
};

// Throws Error beginning with `what` unless `value` is such a persistent id.
TorchStorage parse_storage(const PickleValue& value, const std::string& what);

// Every tensor or parameter below `root`, in order; each lies within its storage. Appends to
// `ignored` "name: kind" of all other leaves. Throws Error naming `path` and the tensor.
std::vector<TorchTensor> find_tensors(const PickleValue& root, const std::string& path,
                                      std::vector<std::string>& ignored);

// The tensor's numbers out of its storage's, which number storage.bytes().
Tensor decode_tensor(const TorchTensor& tensor, std::string_view storage_bytes);

}  // namespace bbam
