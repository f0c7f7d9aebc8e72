#include "cli/weights.h"

#include "layers/checkpoint.h"

namespace bbam {

void convolutions_to(ConvolutionLayout layout, TensorMap& tensors) {
  constexpr int64_t kBins = 7;
  const bool to_ohwi = layout == ConvolutionLayout::kOhwi;
  for (auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::kF32) continue;
    if (tensor.rank() == 4) tensor = to_ohwi ? oihw_to_ohwi(tensor) : ohwi_to_oihw(tensor);
    const bool pooled = name.ends_with("fc6.weight") && tensor.rank() == 2;
    if (!pooled || tensor.dim(1) % (kBins * kBins) != 0) continue;
    const int64_t out = tensor.dim(0), in = tensor.dim(1), channels = in / (kBins * kBins);
    const Tensor bins = to_ohwi ? oihw_to_ohwi(tensor.reshape({out, channels, kBins, kBins}))
                                : ohwi_to_oihw(tensor.reshape({out, kBins, kBins, channels}));
    tensor = bins.reshape({out, in});
  }
}

TensorMap read_ohwi_weights(const std::string& path) {
  std::string format;
  TensorMap tensors = read_weights(path, &format);
  if (format == "safetensors") {
    const auto metadata = read_safetensors(path).metadata;
    const auto layout = metadata.find(kLayoutKey);
    if (layout != metadata.end() && layout->second == kLayoutOhwi) return tensors;
  }
  convolutions_to(ConvolutionLayout::kOhwi, tensors);
  return tensors;
}

}  // namespace bbam
