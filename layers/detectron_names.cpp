#include "layers/detectron_names.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "layers/resnet.h"

namespace bbam {
namespace {

constexpr double kLargestZero = 1e-6;  // MSRA's conv1_b holds up to 1e-8

// "conv1", "res_conv1_bn", "res2_0_branch2a" or "res2_0_branch2a_bn" as ours; "" for any other.
std::string module_name(const std::string& name) {
  if (name == "conv1") return "conv1";
  if (name == "res_conv1_bn") return "bn1";
  static const std::regex pattern("res([2-5])_(\\d+)_branch(1|2[abc])(_bn)?");
  std::smatch part;
  if (!std::regex_match(name, part, pattern)) return "";
  const std::string block = join("layer", std::stoi(part[1]) - 1, ".", part[2].str(), ".");
  const bool norm = part[4].matched;
  if (part[3] == "1") return block + (norm ? "downsample.1" : "downsample.0");
  return join(block, norm ? "bn" : "conv", part[3].str()[1] - 'a' + 1);
}

bool is_zero(const Tensor& tensor) {
  const auto values = tensor.cast(DType::kF64).to_vector<double>();
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::abs(value) <= kLargestZero; });
}

}  // namespace

bool has_detectron_names(const TensorMap& tensors) { return tensors.contains("conv1_w"); }

TensorMap from_detectron_names(const TensorMap& tensors, const std::string& path) {
  TensorMap renamed;
  for (const auto& [name, tensor] : tensors) {
    const size_t end = name.rfind('_');
    const std::string kind = end == std::string::npos ? "" : name.substr(end + 1);
    const std::string module = module_name(name.substr(0, end));
    const bool norm = name.substr(0, end).ends_with("_bn");
    if (!module.empty() && norm && kind == "s") {
      renamed[module + ".weight"] = tensor;
      renamed.emplace(module + ".running_mean", Tensor::zeros(tensor.shape()));
      renamed.emplace(module + ".running_var", Tensor::full(tensor.shape(), 1 - kNormEpsilon));
    } else if (!module.empty() && norm && kind == "b") {
      renamed[module + ".bias"] = tensor;
    } else if (!module.empty() && !norm && kind == "w") {
      renamed[module + ".weight"] = tensor;
    } else if (!module.empty() && !norm && kind == "b") {
      check(is_zero(tensor), path, ": '", name,
            "' is the bias of a convolution; expected a ResNet, whose convolutions have none");
    } else {
      renamed[name] = tensor;
    }
  }
  return renamed;
}

}  // namespace bbam
