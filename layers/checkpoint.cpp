#include "layers/checkpoint.h"

#include <algorithm>

#include "layers/detectron_file.h"
#include "layers/mapped_file.h"
#include "layers/torch_file.h"

namespace bbam {

namespace {

// Where programs put the network in a file that holds more.
constexpr const char* kGroups[] = {"state_dict", "model_state_dict", "model", "blobs"};

bool looks_like_safetensors(std::string_view first_bytes) {
  // A header of less than 4 GiB, which begins as JSON does.
  return first_bytes.substr(0, 9).ends_with(std::string_view("\0\0\0\0{", 5));
}

void check_weights(const Tensor& t, const char* what) {
  check_shape(t, {-1, -1, -1, -1}, what);
  check(t.dtype() == DType::kF32 && t.device() == kCpu, what, " is ", t, "; expected f32 on cpu");
}

}  // namespace

WeightsFile read_weights_file(const std::string& path) {
  const std::string first_bytes(MappedFile::open(path)->bytes().substr(0, 64));
  if (looks_like_torch_zip(first_bytes) || looks_like_torch_legacy(first_bytes)) {
    TorchFile file = read_torch_file(path);
    const char* const format = looks_like_torch_zip(first_bytes) ? "PyTorch zip" : "PyTorch legacy";
    return {format, std::move(file.tensors), {}, std::move(file.groups), std::move(file.ignored)};
  }
  if (looks_like_safetensors(first_bytes)) {
    SafetensorsFile file = read_safetensors(path);
    return {"safetensors", std::move(file.tensors), std::move(file.metadata), {}, {}};
  }
  check(looks_like_pickle(first_bytes), path,
        ": not a weights file; expected safetensors, PyTorch's .pth or Detectron's .pkl");
  DetectronFile file = read_detectron_file(path);
  return {
      "NumPy pickle", std::move(file.tensors), {}, std::move(file.groups), std::move(file.ignored)};
}

TensorMap read_weights(const std::string& path, std::string* format) {
  WeightsFile file = read_weights_file(path);
  if (format != nullptr) *format = file.format;
  TensorMap tensors = std::move(file.tensors);
  for (const char* group : kGroups) {
    if (std::count(file.groups.begin(), file.groups.end(), group) == 0) continue;
    TensorMap inside = below(tensors, join(group, "."));
    if (inside.empty()) continue;
    tensors = std::move(inside);
    break;
  }
  check(!tensors.empty(), path, ": no tensors in this ", file.format, " file");
  return strip_prefix(tensors, "module.");
}

TensorMap below(const TensorMap& tensors, const std::string& prefix) {
  TensorMap inside;
  for (const auto& [name, t] : tensors)
    if (name.starts_with(prefix)) inside[name.substr(prefix.size())] = t;
  return inside;
}

TensorMap strip_prefix(const TensorMap& tensors, const std::string& prefix) {
  TensorMap stripped = below(tensors, prefix);
  return stripped.size() == tensors.size() ? stripped : tensors;
}

Tensor oihw_to_ohwi(const Tensor& weights) {
  check_weights(weights, "oihw_to_ohwi: weights");
  const int64_t outs = weights.dim(0), ins = weights.dim(1), taps = weights.dim(2) * weights.dim(3);
  Tensor result = Tensor::empty({outs, weights.dim(2), weights.dim(3), ins});
  const float* from = weights.data<float>();
  float* const to = result.mutable_data<float>();
  for (int64_t o = 0; o < outs; ++o)
    for (int64_t i = 0; i < ins; ++i)
      for (int64_t k = 0; k < taps; ++k) to[(o * taps + k) * ins + i] = *from++;
  return result;
}

Tensor ohwi_to_oihw(const Tensor& weights) {
  check_weights(weights, "ohwi_to_oihw: weights");
  const int64_t outs = weights.dim(0), ins = weights.dim(3), taps = weights.dim(1) * weights.dim(2);
  Tensor result = Tensor::empty({outs, ins, weights.dim(1), weights.dim(2)});
  const float* from = weights.data<float>();
  float* const to = result.mutable_data<float>();
  for (int64_t o = 0; o < outs; ++o)
    for (int64_t k = 0; k < taps; ++k)
      for (int64_t i = 0; i < ins; ++i) to[(o * ins + i) * taps + k] = *from++;
  return result;
}

}  // namespace bbam
