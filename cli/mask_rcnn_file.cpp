#include "cli/mask_rcnn_file.h"

#include <nlohmann/json.hpp>

#include "cli/weights.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr const char* kHeadKey = "mask_head";
constexpr int kMostConvs = 64, kMostWidth = 4096;

MaskLoss loss_of(const std::string& name) {
  if (name == "plain") return MaskLoss::kPlain;
  return name == "balanced" ? MaskLoss::kBalanced : MaskLoss::kSeedGrowing;
}

// Only what the network is built from; how it was trained is told by its run.json.
MaskHeadOptions head_of(const std::map<std::string, std::string>& metadata,
                        const std::string& path) {
  const auto found = metadata.find(kHeadKey);
  check(found != metadata.end(), path, ": is a detector without masks (no '", kHeadKey,
        "' in its metadata); train one with bbam train mask-rcnn");
  MaskHeadOptions head;
  try {
    const json j = json::parse(found->second);
    j.at("convs").get_to(head.convs);
    j.at("width").get_to(head.width);
  } catch (const json::exception& error) {
    fail(path, ": the description of its masks cannot be read: ", error.what());
  }
  check(head.convs >= 1 && head.convs <= kMostConvs && head.width >= 1 && head.width <= kMostWidth,
        path, ": the description of its masks says ", head.convs, " convolutions of width ",
        head.width);
  return head;
}

}  // namespace

void add_mask_head_options(Command& command, MaskHeadOptions& o) {
  command.option("--mask-convs", o.convs, "3x3 convolutions of the mask head")
      .between(1, kMostConvs);
  command.option("--mask-width", o.width, "their channels").between(1, kMostWidth);
  command
      .option("--mask-loss", o.loss,
              "plain: mean over labelled cells; balanced: mean of foreground's and background's; "
              "seed-growing: the same of seeds that grow (BBAM, section 3.4)")
      .one_of({"plain", "balanced", "seed-growing"});
  command.option("--grow-above", o.grow_above, "probability that joins the foreground")
      .between(0, 1);
  command.option("--grow-below", o.grow_below, "probability that joins the background")
      .between(0, 1);
}

MaskRcnnSpec mask_rcnn_spec(const DetectorOptions& detector, const MaskHeadOptions& head,
                            int64_t classes) {
  check(head.grow_below <= head.grow_above, "--grow-below ", head.grow_below,
        " is more than --grow-above ", head.grow_above);
  MaskRcnnSpec spec;
  spec.detector = detector_spec(detector, classes);
  spec.mask_head.convs = head.convs;
  spec.mask_head.width = head.width;
  spec.loss = loss_of(head.loss);
  spec.growing = {head.grow_above, head.grow_below};
  return spec;
}

std::map<std::string, std::string> to_metadata(const MaskRcnnCard& card) {
  auto metadata = to_metadata(card.detector);
  metadata[kHeadKey] = json{{"convs", card.head.convs}, {"width", card.head.width}}.dump();
  return metadata;
}

LoadedMaskRcnn load_mask_rcnn(const std::string& path, Device device) {
  SafetensorsFile file = read_safetensors(path);
  LoadedMaskRcnn loaded{{card_of(file.metadata, path), head_of(file.metadata, path)}, nullptr};
  const DetectorCard& detector = loaded.card.detector;
  loaded.model = std::make_unique<MaskRcnn>(
      mask_rcnn_spec(detector.options, loaded.card.head, int64_t(detector.classes.size())), 0);
  check_finite(file.tensors, path);
  load_tensors(*loaded.model, in_ohwi(std::move(file.tensors), file.metadata), path);
  move_to(*loaded.model, device);
  return loaded;
}

}  // namespace bbam
