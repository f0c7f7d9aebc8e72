#include "cli/detector_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/weights.h"

namespace bbam {
namespace {

using nlohmann::json;

// Options that are whole numbers, and what a detector may have of each.
struct Count {
  const char* flag;
  int DetectorOptions::*value;
  int least, most;
  const char* help;
  std::string_view only = {};  // the architecture that alone has it; empty: all

  bool is_of(const DetectorOptions& o) const { return only.empty() || o.architecture == only; }
  // "--stem-width" is "stem_width" in a file.
  std::string key() const {
    std::string key = flag + 2;
    std::replace(key.begin(), key.end(), '-', '_');
    return key;
  }
};
constexpr Count kCounts[]{
    {"--stem-width", &DetectorOptions::stem_width, 1, 1024, "channels of the trunk's stem"},
    {"--freeze-stages", &DetectorOptions::freeze_stages, 0, 5,
     "trunk stages that are not trained; 2: stem, res2"},
    {"--fpn-channels", &DetectorOptions::fpn_channels, 1, 4096, "channels of the pyramid"},
    {"--head-width", &DetectorOptions::head_width, 1, 65536, "width of the box head's two layers",
     kFasterRcnn},
    {"--rois-per-image", &DetectorOptions::rois_per_image, 1, 100000,
     "proposals trained on per image", kFasterRcnn},
    {"--train-proposals", &DetectorOptions::train_proposals, 1, 100000,
     "proposals kept in training", kFasterRcnn},
    {"--test-proposals", &DetectorOptions::test_proposals, 1, 100000, "proposals kept in detection",
     kFasterRcnn},
    {"--subnet-convs", &DetectorOptions::subnet_convs, 0, 64,
     "3x3 convolutions of the class subnet and of the box subnet, before their last", kRetinaNet},
    {"--candidates", &DetectorOptions::candidates, 1, 100000,
     "of each level, those that enter non-maximum suppression in detection", kRetinaNet},
};

// What a card says of training and detection alone: networks that differ in these can have the same
// weights.
constexpr std::string_view kNotOfWeights[]{"freeze_stages",  "rois_per_image", "train_proposals",
                                           "test_proposals", "candidates",     "short_side",
                                           "long_side"};

constexpr double kLeastAnchor = 1, kMostAnchor = 65536;  // pixels

// A file's description is believed no more than a command line is.
void check_card(const DetectorCard& card, const std::string& path) {
  const DetectorOptions& o = card.options;
  for (const Count& count : kCounts)
    check(!count.is_of(o) || (o.*count.value >= count.least && o.*count.value <= count.most), path,
          ": the detector's description says ", count.flag + 2, " ", o.*count.value, "; expected ",
          count.least, " to ", count.most);
  check(o.bottleneck_stride == "1x1" || o.bottleneck_stride == "3x3", path,
        ": the detector's description says bottleneck-stride '", o.bottleneck_stride, "'");
  check(o.top_down == "bilinear" || o.top_down == "nearest", path,
        ": the detector's description says top-down '", o.top_down, "'");
  for (const double size : o.anchor_sizes)
    check(size >= kLeastAnchor && size <= kMostAnchor, path,
          ": the detector's description says anchor-sizes ", size, "; expected ", kLeastAnchor,
          " to ", kMostAnchor);
  check(!card.classes.empty() && card.classes.size() < 65536, path,
        ": the detector's description has ", card.classes.size(), " classes");
  check(card.short_side >= 1 && card.short_side <= card.long_side && card.long_side <= kMostSide,
        path, ": the detector's description says pictures of ", card.short_side, " by ",
        card.long_side, " pixels");
}

json to_json(const DetectorCard& card) {
  const DetectorOptions& o = card.options;
  json j{{"depth", o.depth},
         {"norm", o.norm},
         {"bottleneck_stride", o.bottleneck_stride},
         {"top_down", o.top_down},
         {"anchor_sizes", o.anchor_sizes},
         {"classes", card.classes},
         {"short_side", card.short_side},
         {"long_side", card.long_side}};
  // Files without the entry are Faster R-CNNs: those that knew no other kind stay the same bytes,
  // and their trainings are still gone on with.
  if (o.architecture != kFasterRcnn) j["architecture"] = o.architecture;
  for (const Count& count : kCounts)
    if (count.is_of(o)) j[count.key()] = o.*count.value;
  return j;
}

DetectorCard from_json(const json& j, const std::string& path) {
  DetectorCard card;
  DetectorOptions& o = card.options;
  o.architecture = j.value("architecture", kFasterRcnn);
  check(o.architecture == kFasterRcnn || o.architecture == kRetinaNet, path,
        ": the detector's description says architecture '", o.architecture, "'; expected ",
        kFasterRcnn, " or ", kRetinaNet);
  j.at("depth").get_to(o.depth);
  j.at("norm").get_to(o.norm);
  j.at("bottleneck_stride").get_to(o.bottleneck_stride);
  j.at("top_down").get_to(o.top_down);
  j.at("anchor_sizes").get_to(o.anchor_sizes);
  for (const Count& count : kCounts)
    if (count.is_of(o)) j.at(count.key()).get_to(o.*count.value);
  j.at("classes").get_to(card.classes);
  j.at("short_side").get_to(card.short_side);
  j.at("long_side").get_to(card.long_side);
  return card;
}

// What every architecture here has.
template <class Spec>
Spec with_pyramid(const DetectorOptions& o, int64_t classes) {
  Spec spec;
  spec.classes = classes;
  spec.resnet.depth = o.depth;
  spec.resnet.stem_width = o.stem_width;
  spec.resnet.norm = norm_of(o.norm);
  spec.resnet.groups = norm_groups(o.stem_width);
  spec.resnet.stride_in_1x1 = o.bottleneck_stride == "1x1";
  spec.freeze_stages = o.freeze_stages;
  spec.fpn.channels = o.fpn_channels;
  spec.fpn.top_down = o.top_down == "bilinear" ? TopDown::kBilinear : TopDown::kNearest;
  return spec;
}

}  // namespace

Norm norm_of(const std::string& name) {
  if (name == "frozen") return Norm::kFrozen;
  if (name == "batch") return Norm::kBatch;
  check(name == "group", "norm '", name, "'; expected frozen, batch or group");
  return Norm::kGroup;
}

int norm_groups(int stem_width) { return std::min(32, std::max(1, stem_width / 2)); }

void add_detector_options(Command& command, DetectorOptions& o) {
  command.option("--depth", o.depth, "ResNet depth: 18, 34, 50, 101 or 152");
  command.option("--norm", o.norm, "normalisation of the trunk; frozen: as the weights file has it")
      .one_of({"frozen", "batch", "group"});
  command
      .option(
          "--bottleneck-stride", o.bottleneck_stride,
          "which convolution of a bottleneck strides; that of the --init weights: 1x1 in MSRA's "
          "and Detectron's, 3x3 in torchvision's")
      .one_of({"1x1", "3x3"});
  command.option("--top-down", o.top_down, "upsampling of the pyramid")
      .one_of({"bilinear", "nearest"});
  command.option("--anchor-sizes", o.anchor_sizes, "one per level, finest first, in pixels")
      .between(kLeastAnchor, kMostAnchor);
  for (const Count& count : kCounts)
    if (count.is_of(o))
      command.option(count.flag, o.*count.value, count.help).between(count.least, count.most);
}

FasterRcnnSpec detector_spec(const DetectorOptions& o, int64_t classes) {
  check(o.anchor_sizes.size() == 5, o.anchor_sizes.size(),
        " anchor sizes; expected 5, for P2 to P6");
  auto spec = with_pyramid<FasterRcnnSpec>(o, classes);
  spec.roi_heads.head_width = o.head_width;
  spec.roi_heads.sampler.per_image = o.rois_per_image;
  spec.rpn.anchors.sizes_px = o.anchor_sizes;
  spec.rpn.train_proposals.pre_nms_top_n = o.train_proposals;
  spec.rpn.train_proposals.post_nms_top_n = o.train_proposals;
  spec.rpn.train_proposals.total_top_n = o.train_proposals;
  spec.rpn.test_proposals.pre_nms_top_n = o.test_proposals;
  spec.rpn.test_proposals.post_nms_top_n = o.test_proposals;
  spec.rpn.test_proposals.total_top_n = o.test_proposals;
  return spec;
}

RetinaNetSpec retinanet_spec(const DetectorOptions& o, int64_t classes) {
  check(o.anchor_sizes.size() == 5, o.anchor_sizes.size(),
        " anchor sizes; expected 5, for P3 to P7");
  auto spec = with_pyramid<RetinaNetSpec>(o, classes);
  spec.anchors.sizes_px = o.anchor_sizes;
  spec.convolutions = o.subnet_convs;
  spec.candidates = o.candidates;
  return spec;
}

std::unique_ptr<Detector> make_detector(const DetectorOptions& o, int64_t classes, uint64_t seed) {
  if (o.architecture == kRetinaNet)
    return std::make_unique<RetinaNet>(retinanet_spec(o, classes), seed);
  return std::make_unique<FasterRcnn>(detector_spec(o, classes), seed);
}

std::map<std::string, std::string> to_metadata(const DetectorCard& card) {
  return {{kCardKey, to_json(card).dump()}, {kLayoutKey, kLayoutOhwi}};
}

std::string first_difference(const DetectorCard& found, const DetectorCard& expected) {
  const json a = to_json(found), b = to_json(expected);
  for (const auto& [name, value] : b.items())
    if (std::count(std::begin(kNotOfWeights), std::end(kNotOfWeights), name) == 0 &&
        a.value(name, json()) != value)
      return name + " " + a.value(name, json()).dump() + ", not " + value.dump();
  return "";
}

DetectorCard card_of(const std::map<std::string, std::string>& metadata, const std::string& path) {
  const auto found = metadata.find(kCardKey);
  check(found != metadata.end(), path, ": is not a detector of this program (no '", kCardKey,
        "' in its metadata); train one with bbam train detector or bbam train retinanet");
  DetectorCard card;
  try {
    card = from_json(json::parse(found->second), path);
  } catch (const json::exception& error) {
    fail(path, ": the detector's description cannot be read: ", error.what());
  }
  check_card(card, path);
  return card;
}

int64_t LoadedDetector::label_of(const std::string& name) const {
  const auto found = std::find(card.classes.begin(), card.classes.end(), name);
  std::string known;
  for (const std::string& c : card.classes) known += (known.empty() ? "" : ", ") + c;
  check(found != card.classes.end(), "class '", name,
        "' is not one that the detector knows: ", known);
  return found - card.classes.begin() + 1;
}

void save_detector(const std::string& path, Detector& model, const DetectorCard& card) {
  write_safetensors(path, named_tensors(model), to_metadata(card));
}

LoadedDetector load_detector(const std::string& path, Device device) {
  SafetensorsFile file = read_safetensors(path);
  LoadedDetector loaded{card_of(file.metadata, path), nullptr};
  const auto classes = int64_t(loaded.card.classes.size());
  loaded.model = make_detector(loaded.card.options, classes, 0);
  check_finite(file.tensors, path);
  load_tensors(*loaded.model, in_ohwi(std::move(file.tensors), file.metadata), path);
  move_to(*loaded.model, device);
  return loaded;
}

void load_trunk(Module& model, const std::string& path) {
  constexpr const char* kTrunk = "backbone.body.";
  const TensorMap tensors = read_trunk_weights(path);
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (!name.starts_with(kTrunk)) return;
    const auto found = tensors.find(name.substr(std::string(kTrunk).size()));
    check(found != tensors.end(), path, ": has no tensor '",
          name.substr(std::string(kTrunk).size()), "' for the trunk (expected ", variable.shape(),
          ")");
    check(found->second.shape() == variable.shape(), path, ": tensor '", found->first, "' is ",
          found->second.shape(), "; expected ", variable.shape());
    variable.mutable_value().copy_from(found->second.cast(variable.dtype()).to(variable.device()));
  });
}

DetectorInput detector_input(const Image& photograph, const DetectorCard& card, Device device) {
  const ImageSize original{photograph.width, photograph.height};
  const ImageSize resized = resized_size(original, card.short_side, card.long_side);
  const Tensor image = to_bgr_tensor(resize_bilinear(photograph, resized));
  return {image.as_batch().to(device), original, resized};
}

Tensor boxes_to_photograph(const Tensor& boxes, const DetectorInput& input) {
  check_shape(boxes, {-1, 4}, "boxes");
  const double x = 1 / input.scale_x(), y = 1 / input.scale_y();
  auto values = boxes.to(kCpu).to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(values[i] * (i % 2 ? y : x));
  return Tensor::from(values, boxes.shape());
}

}  // namespace bbam
