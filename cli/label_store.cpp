#include "cli/label_store.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/npy.h"
#include "cli/run_record.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

json to_json(const Rle& mask) {
  return {{"size", {mask.height, mask.width}}, {"counts", rle_to_string(mask)}};
}

Rle rle_of(const json& value) {
  return rle_from_string(value.at("counts").get<std::string>(), value.at("size").at(0),
                         value.at("size").at(1));
}

json to_json(const LabelledObject& o) {
  return {{"object", o.object},
          {"class", o.class_name},
          {"box", {o.box.x0, o.box.y0, o.box.x1, o.box.y1}},
          {"positives", o.positives},
          {"positive_iou", o.positive_iou},
          {"mean_positive_iou", o.mean_positive_iou},
          {"stride_px", o.stride_px},
          {"source", to_string(o.source)},
          {"foreground", to_json(o.foreground)},
          {"ignore", to_json(o.ignore)}};
}

LabelSource source_of(const std::string& name) {
  for (const LabelSource source : {LabelSource::kMap, LabelSource::kSmallMask, LabelSource::kNoMap})
    if (name == to_string(source)) return source;
  fail("source '", name, "'");
}

LabelledObject object_of(const json& value) {
  LabelledObject o;
  o.object = value.at("object");
  o.class_name = value.at("class");
  const json& b = value.at("box");
  o.box = {b.at(0), b.at(1), b.at(2), b.at(3)};
  o.positives = value.at("positives");
  o.positive_iou = value.at("positive_iou");
  o.mean_positive_iou = value.at("mean_positive_iou");
  o.stride_px = value.at("stride_px");
  o.source = source_of(value.at("source"));
  o.foreground = rle_of(value.at("foreground"));
  o.ignore = rle_of(value.at("ignore"));
  return o;
}

Image image_of(const Tensor& labels) {
  Image image(int(labels.dim(1)), int(labels.dim(0)), 1);
  image.pixels = labels.to_vector<uint8_t>();
  return image;
}

}  // namespace

std::string stored_name(const std::string& image_id) {
  std::string name = image_id;
  for (char& c : name)
    if (c == '/' || c == '\\') c = '_';
  return name;
}

const char* to_string(LabelSource source) {
  switch (source) {
    case LabelSource::kMap: return "map";
    case LabelSource::kSmallMask: return "small mask";
    case LabelSource::kNoMap: break;
  }
  return "no map";
}

void LabelStore::begin(const Settings& settings) {
  claim_folder(folder_, settings);
  for (const char* part : {"images", "maps", "SegmentationObject", "SegmentationClass"})
    make_folder(path(part));
}

Settings LabelStore::settings() const { return settings_of_folder(folder_); }

std::string LabelStore::weights_hash() const {
  const Settings all = settings();
  const auto hash = all.find("weights-hash");
  check(hash != all.end() && hash->second.size() == 1, folder_,
        ": its settings.json has no weights-hash; expected a folder of bbam pseudo-label");
  return hash->second[0];
}

std::optional<LabelledImage> LabelStore::read(const std::string& image_id) const {
  const std::string file = path("images/" + stored_name(image_id) + ".json");
  if (!std::filesystem::exists(file)) return {};
  try {
    const json value = json::parse(read_file(file));
    LabelledImage image{.image_id = value.at("image")};
    image.problem = value.value("problem", "");
    value.at("seconds").get_to(image.seconds);
    for (const json& object : value.at("objects")) image.objects.push_back(object_of(object));
    if (image.image_id != image_id) return {};
    return image;
  } catch (const std::exception&) {
    return {};
  }
}

Tensor LabelStore::read_map(const std::string& image_id, const LabelledObject& object) const {
  if (object.positives == 0) return {};
  const std::string file = path(join("maps/", stored_name(image_id), "-", object.object, ".npy"));
  const Tensor map = read_npy(file);
  check(map.rank() == 2 && map.size() > 0, file, ": is ", map, "; expected (h, w)");
  return map;
}

void LabelStore::write_map(const std::string& image_id, int object, const Tensor& map) const {
  write_npy(path(join("maps/", stored_name(image_id), "-", object, ".npy")), map);
}

void LabelStore::write_painted(const std::string& image_id, const LabelImage& painted) const {
  const std::string name = "/" + stored_name(image_id) + ".png";
  write_label_png(path("SegmentationObject" + name), image_of(painted.objects));
  write_label_png(path("SegmentationClass" + name), image_of(painted.classes));
}

void LabelStore::write(const LabelledImage& image) const {
  json objects = json::array();
  for (const LabelledObject& object : image.objects) objects.push_back(to_json(object));
  json value = {{"image", image.image_id}, {"objects", objects}, {"seconds", image.seconds}};
  if (!image.problem.empty()) value["problem"] = image.problem;
  write_file(path("images/" + stored_name(image.image_id) + ".json"), value.dump(1) + "\n");
}

}  // namespace bbam
