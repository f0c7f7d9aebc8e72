#include "cli/deeplab_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/detector_file.h"
#include "cli/weights.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr int kMostStem = 1024, kMostRate = 4096;
constexpr double kLeastScale = 0.05, kMostScale = 8;

json to_json(const DeepLabCard& card) {
  const DeepLabOptions& o = card.options;
  return {{"depth", o.depth},
          {"stem_width", o.stem_width},
          {"norm", o.norm},
          {"bottleneck_stride", o.bottleneck_stride},
          {"aspp_rates", o.aspp_rates},
          {"network_scales", o.network_scales},
          {"classes", card.classes}};
}

DeepLabCard from_json(const json& j) {
  DeepLabCard card;
  DeepLabOptions& o = card.options;
  j.at("depth").get_to(o.depth);
  j.at("stem_width").get_to(o.stem_width);
  j.at("norm").get_to(o.norm);
  j.at("bottleneck_stride").get_to(o.bottleneck_stride);
  j.at("aspp_rates").get_to(o.aspp_rates);
  j.at("network_scales").get_to(o.network_scales);
  j.at("classes").get_to(card.classes);
  return card;
}

template <class T>
bool all_within(const std::vector<T>& values, T least, T most) {
  return !values.empty() && std::all_of(values.begin(), values.end(),
                                        [&](T value) { return value >= least && value <= most; });
}

// A file's description is believed no more than a command line is.
void check_card(const DeepLabCard& card, const std::string& path) {
  const DeepLabOptions& o = card.options;
  const bool is_sound = o.stem_width >= 1 && o.stem_width <= kMostStem &&
                        (o.bottleneck_stride == "1x1" || o.bottleneck_stride == "3x3") &&
                        all_within(o.aspp_rates, 1, kMostRate) &&
                        all_within(o.network_scales, kLeastScale, kMostScale) &&
                        !card.classes.empty() && card.classes.size() < 255;
  check(is_sound, path,
        ": the network's description has values out of range: ", to_json(card).dump());
}

}  // namespace

void add_deeplab_options(Command& command, DeepLabOptions& o) {
  command.option("--depth", o.depth, "ResNet depth: 18, 34, 50, 101 or 152");
  command.option("--stem-width", o.stem_width, "channels of the trunk's stem")
      .between(1, kMostStem);
  command.option("--norm", o.norm, "normalisation of the trunk; frozen: as the weights file has it")
      .one_of({"frozen", "batch", "group"});
  command
      .option("--bottleneck-stride", o.bottleneck_stride,
              "which convolution of a bottleneck strides; that of the --init weights: 1x1 in "
              "MSRA's, 3x3 in torchvision's")
      .one_of({"1x1", "3x3"});
  command.option("--aspp-rates", o.aspp_rates, "dilations of the pyramid pooling")
      .between(1, kMostRate);
  command
      .option("--network-scales", o.network_scales,
              "sizes that the network looks at beside 1, its answers' maximum taken")
      .between(kLeastScale, kMostScale);
}

DeepLabSpec deeplab_spec(const DeepLabOptions& o, int64_t classes) {
  DeepLabSpec spec;
  spec.classes = classes + 1;
  spec.resnet.depth = o.depth;
  spec.resnet.stem_width = o.stem_width;
  spec.resnet.norm = norm_of(o.norm);
  spec.resnet.groups = norm_groups(o.stem_width);
  spec.resnet.stride_in_1x1 = o.bottleneck_stride == "1x1";
  spec.aspp_rates = o.aspp_rates;
  spec.scales = o.network_scales;
  return spec;
}

std::map<std::string, std::string> to_metadata(const DeepLabCard& card) {
  return {{kDeepLabKey, to_json(card).dump()}, {kLayoutKey, kLayoutOhwi}};
}

LoadedDeepLab load_deeplab(const std::string& path, Device device) {
  SafetensorsFile file = read_safetensors(path);
  const auto found = file.metadata.find(kDeepLabKey);
  check(found != file.metadata.end(), path, ": is no DeepLab of this program (no '", kDeepLabKey,
        "' in its metadata); train one with bbam train deeplab");
  LoadedDeepLab loaded;
  try {
    loaded.card = from_json(json::parse(found->second));
  } catch (const json::exception& error) {
    fail(path, ": the network's description cannot be read: ", error.what());
  }
  check_card(loaded.card, path);
  loaded.model = std::make_unique<DeepLab>(
      deeplab_spec(loaded.card.options, int64_t(loaded.card.classes.size())), 0);
  check_finite(file.tensors, path);
  load_tensors(*loaded.model, in_ohwi(std::move(file.tensors), file.metadata), path);
  move_to(*loaded.model, device);
  return loaded;
}

}  // namespace bbam
