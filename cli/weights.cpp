#include "cli/weights.h"

#include <algorithm>
#include <numeric>

#include "layers/checkpoint.h"
#include "layers/detectron_names.h"
#include "tensor/check.h"

namespace bbam {
namespace {

// Our pictures are BGR of 0 to 255 less the mean. Weights for pictures divided by their standard
// deviation (torchvision's) would fit, and train badly. What tells them apart are the statistics of
// the first convolution's output: the variance of w.x is at most |w|^2 E|x|^2, and with k inputs of
// unit variance E|x|^2 is k = 147. MSRA's ResNet-50 has 4800 times |w|^2; 2 k lies well between.
// Statistics that are all the same were never taken, or are folded into the scale.
void check_picture_range(const TensorMap& tensors, const std::string& path) {
  const auto conv = tensors.find("conv1.weight"), norm = tensors.find("bn1.running_var");
  if (conv == tensors.end() || norm == tensors.end() || conv->second.rank() != 4) return;
  const auto weights = conv->second.cast(DType::kF64).to_vector<double>();
  const auto variances = norm->second.cast(DType::kF64).to_vector<double>();
  const auto [least, most] = std::minmax_element(variances.begin(), variances.end());
  if (variances.empty() || *most - *least < 1e-3) return;
  const double inputs = double(weights.size()) / double(conv->second.dim(0));
  const double squares = std::inner_product(weights.begin(), weights.end(), weights.begin(), 0.0);
  const double variance = std::accumulate(variances.begin(), variances.end(), 0.0);
  check(
      variance > 2 * inputs * squares, path,
      ": was trained on pictures of about unit variance, as torchvision's are (RGB divided by the "
      "standard deviation); expected weights for BGR of 0 to 255 less the mean: the MSRA flavour, "
      "such as R-50.pkl of Detectron's model zoo");
}

}  // namespace

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

TensorMap in_ohwi(TensorMap tensors, const std::map<std::string, std::string>& metadata) {
  const auto layout = metadata.find(kLayoutKey);
  if (layout == metadata.end() || layout->second != kLayoutOhwi)
    convolutions_to(ConvolutionLayout::kOhwi, tensors);
  return tensors;
}

void check_finite(const TensorMap& tensors, const std::string& path) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::kF32 && tensor.dtype() != DType::kF64) continue;
    dispatch_float(tensor.dtype(), [&, &name = name, &tensor = tensor](auto zero) {
      using T = decltype(zero);
      const T* values = tensor.data<T>();
      // 0 x is 0, or NaN where x is not finite: ten times as fast as asking isfinite of each.
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < tensor.size(); ++i) sum += 0 * values[i];
      check(sum == 0, path, ": tensor '", name,
            "' holds numbers that are not finite; expected trained weights");
    });
  }
}

TensorMap read_ohwi_weights(const std::string& path) {
  std::string format;
  TensorMap tensors = read_weights(path, &format);
  if (format != "safetensors") return in_ohwi(std::move(tensors), {});
  return in_ohwi(std::move(tensors), read_safetensors(path).metadata);
}

TensorMap read_trunk_weights(const std::string& path) {
  constexpr const char* kOfDetector = "backbone.body.";
  TensorMap tensors = read_ohwi_weights(path);
  check_finite(tensors, path);
  if (TensorMap trunk = below(tensors, kOfDetector); !trunk.empty()) tensors = std::move(trunk);
  if (has_detectron_names(tensors)) tensors = from_detectron_names(tensors, path);
  check_picture_range(tensors, path);
  return tensors;
}

}  // namespace bbam
