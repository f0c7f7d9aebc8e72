// DeepLabs as files: weights as safetensors, and in their metadata all that is needed to run them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "layers/safetensors.h"
#include "segmenters/deeplab.h"

namespace bbam {

// The architecture as options; defaults: METHOD B5 with ResNet-50.
struct DeepLabOptions {
  int depth = 50, stem_width = 64;
  std::string norm = "frozen";            // frozen, batch, group
  std::string bottleneck_stride = "1x1";  // 1x1 (MSRA), 3x3 (torchvision)
  std::vector<int> aspp_rates{6, 12, 18, 24};
  std::vector<double> network_scales{0.5, 0.75};
};
void add_deeplab_options(Command& command, DeepLabOptions& options);
// classes: without the background.
DeepLabSpec deeplab_spec(const DeepLabOptions& options, int64_t classes);

struct DeepLabCard {
  DeepLabOptions options;
  std::vector<std::string> classes;  // label c is classes[c - 1]; 0 is the background
};
inline constexpr const char* kDeepLabKey = "deeplab";  // the card's place in the metadata
std::map<std::string, std::string> to_metadata(const DeepLabCard& card);

struct LoadedDeepLab {
  DeepLabCard card;
  std::unique_ptr<DeepLab> model;
};
// Throws Error naming the file, also for weights that are not finite.
LoadedDeepLab load_deeplab(const std::string& path, Device device);

}  // namespace bbam
