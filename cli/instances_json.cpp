#include "cli/instances_json.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

json bbox_json(const PixelBox& box) {
  return {box.x0, box.y0, double(box.x1) - box.x0, double(box.y1) - box.y0};
}

json mask_json(const Rle& mask) {
  return {{"size", {mask.height, mask.width}}, {"counts", rle_to_string(mask)}};
}

std::string id_text(const json& id, const std::string& where) {
  if (id.is_string()) return id.get<std::string>();
  check(id.is_number_integer(), where, ": image_id is ", id.dump(),
        "; expected a whole number or a string");
  return id.dump();
}

const json& member(const json& entry, const char* name, const std::string& where) {
  check(entry.is_object() && entry.contains(name), where, ": has no \"", name, "\"");
  return entry[name];
}

double number(const json& value, const char* name, const std::string& where) {
  check(value.is_number() && std::isfinite(value.get<double>()), where, ": ", name, " is ",
        value.dump(), "; expected a number");
  return value.get<double>();
}

bool is_int(const json& value) {
  if (!value.is_number_integer()) return false;
  const auto number = value.get<double>();
  return number >= 0 && number <= std::numeric_limits<int>::max();
}

PixelBox box_of(const json& bbox, const std::string& where) {
  check(bbox.is_array() && bbox.size() == 4, where, ": bbox is ", bbox.dump(),
        "; expected [x, y, width, height]");
  double values[4];
  for (size_t i = 0; i < 4; ++i) values[i] = number(bbox[i], "bbox", where);
  check(values[2] >= 0 && values[3] >= 0, where, ": bbox is ", bbox.dump(),
        "; width and height are not negative");
  return {float(values[0]), float(values[1]), float(values[0] + values[2]),
          float(values[1] + values[3])};
}

Rle runs_of(const json& segmentation, const std::string& where) {
  const json& size = member(segmentation, "size", where);
  check(size.is_array() && size.size() == 2 && size[0].is_number_integer() &&
            size[1].is_number_integer(),
        where, ": the mask's size is ", size.dump(), "; expected [height, width]");
  const auto height = size[0].get<int64_t>(), width = size[1].get<int64_t>();
  const json& counts = member(segmentation, "counts", where);
  if (counts.is_string()) return rle_from_string(counts.get<std::string>(), height, width);
  check(counts.is_array(), where, ": counts is ", counts.type_name(),
        "; expected a string or a list");
  std::vector<int64_t> runs;
  for (const json& run : counts) {
    check(run.is_number_integer(), where, ": counts holds ", run.dump());
    runs.push_back(run.get<int64_t>());
  }
  return rle_from_counts(runs, height, width);
}

using Sizes = std::map<std::string, ImageSize>;

Rle polygons_of(const json& polygons, const std::string& id, const Sizes& sizes,
                const std::string& where) {
  const auto found = sizes.find(id);
  check(found != sizes.end(), where, ": has a polygon, and nothing tells the size of image ", id);
  std::vector<Rle> parts;
  for (const json& polygon : polygons) {
    check(polygon.is_array(), where, ": segmentation is no list of polygons");
    std::vector<double> xy;
    for (const json& value : polygon) xy.push_back(number(value, "segmentation", where));
    parts.push_back(rle_from_polygon(xy, found->second.height, found->second.width));
  }
  check(!parts.empty(), where, ": segmentation is an empty list");
  return rle_merge(parts, RleMerge::kUnion);
}

Rle mask_of(const json& segmentation, const std::string& id, const Sizes& sizes,
            const std::string& where) {
  if (!segmentation.is_object()) return polygons_of(segmentation, id, sizes, where);
  Rle mask = runs_of(segmentation, where);
  const auto found = sizes.find(id);
  if (found != sizes.end())
    check(mask.width == found->second.width && mask.height == found->second.height, where,
          ": its mask is ", mask.width, " x ", mask.height, "; image ", id, " is ",
          found->second.width, " x ", found->second.height);
  return mask;
}

Sizes sizes_of(const json& file, const std::string& path) {
  Sizes sizes;
  if (!file.is_object() || !file.contains("images") || !file["images"].is_array()) return sizes;
  for (const json& image : file["images"]) {
    const std::string where = path + ": an entry of images";
    const std::string id = id_text(member(image, "id", where), where);
    const double width = number(member(image, "width", where), "width", where);
    const double height = number(member(image, "height", where), "height", where);
    check(width >= 1 && width <= kMaxImageSide && height >= 1 && height <= kMaxImageSide, where,
          ": image ", id, " claims ", width, " x ", height, " pixels");
    sizes[id] = {int(width), int(height)};
  }
  return sizes;
}

Instance instance_of(const json& entry, const Sizes& sizes, const std::string& where) {
  Instance instance;
  instance.image_id = id_text(member(entry, "image_id", where), where);
  const json& category = member(entry, "category_id", where);
  check(is_int(category), where, ": category_id is ", category.dump(),
        "; expected a whole number up to 2147483647");
  instance.category = category.get<int>();
  if (entry.contains("score")) instance.score = number(entry["score"], "score", where);
  if (entry.contains("object") && is_int(entry["object"]))
    instance.object = entry["object"].get<int>();
  const bool has_mask = entry.contains("segmentation") && !entry["segmentation"].empty();
  try {
    if (has_mask) instance.mask = mask_of(entry["segmentation"], instance.image_id, sizes, where);
    if (entry.contains("ignore_segmentation"))
      instance.ignore = mask_of(entry["ignore_segmentation"], instance.image_id, sizes, where);
  } catch (const Error& error) {
    const std::string what = error.what();
    fail(what.rfind(where, 0) == 0 ? what : where + ": " + what);
  }
  if (entry.contains("bbox")) {
    instance.box = box_of(entry["bbox"], where);
  } else {
    check(has_mask, where, ": has neither bbox nor segmentation");
    const auto bounds = rle_bounds(*instance.mask);
    instance.box = {float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])};
  }
  return instance;
}

}  // namespace

json image_id_json(const std::string& id) {
  const bool digits =
      !id.empty() && id.size() < 18 && id.find_first_not_of("0123456789") == std::string::npos;
  if (digits && (id == "0" || id[0] != '0')) return std::stoll(id);
  return id;
}

void write_results(const std::string& path, const std::vector<Instance>& instances) {
  json list = json::array();
  for (const Instance& instance : instances) {
    json entry = {{"image_id", image_id_json(instance.image_id)},
                  {"category_id", instance.category},
                  {"bbox", bbox_json(instance.box)},
                  {"score", instance.score}};
    if (instance.mask) entry["segmentation"] = mask_json(*instance.mask);
    list.push_back(std::move(entry));
  }
  write_file(path, list.dump() + "\n");
}

namespace {

std::vector<Instance> read_entries(const std::string& path, bool needs_score) {
  const json file = json::parse(read_file(path), nullptr, false);
  check(!file.is_discarded(), path, ": is no JSON, or is cut off");
  const bool is_dataset = file.is_object() && file.contains("annotations");
  const json& list = is_dataset ? file["annotations"] : file;
  check(list.is_array(), path, ": expected a list of results, or a COCO file with annotations");
  const Sizes sizes = sizes_of(file, path);
  std::vector<Instance> instances;
  for (size_t i = 0; i < list.size(); ++i) {
    const bool has_id = list[i].is_object() && list[i].contains("id");
    const std::string id = has_id ? " (id " + list[i]["id"].dump() + ")" : "";
    const std::string where = join(path, ": entry ", i, id);
    instances.push_back(instance_of(list[i], sizes, where));
    check(!needs_score || list[i].contains("score"), where,
          ": has no \"score\"; expected detections, each with one");
  }
  return instances;
}

}  // namespace

std::vector<Instance> read_instances(const std::string& path) { return read_entries(path, false); }
std::vector<Instance> read_detections(const std::string& path) { return read_entries(path, true); }

void write_annotations(const std::string& path, const Dataset& dataset,
                       const std::vector<Instance>& instances) {
  json images = json::array(), annotations = json::array(), categories = json::array();
  for (const Record& record : dataset.records)
    images.push_back({{"id", image_id_json(record.id)},
                      {"file_name", std::filesystem::path(record.image_path).filename().string()},
                      {"width", record.width},
                      {"height", record.height}});
  for (const Instance& instance : instances) {
    json entry = {{"id", annotations.size() + 1},
                  {"image_id", image_id_json(instance.image_id)},
                  {"category_id", instance.category},
                  {"bbox", bbox_json(instance.box)},
                  {"iscrowd", 0},
                  {"object", instance.object}};
    if (instance.mask) {
      entry["segmentation"] = mask_json(*instance.mask);
      entry["area"] = rle_area(*instance.mask);
    }
    if (instance.ignore) entry["ignore_segmentation"] = mask_json(*instance.ignore);
    annotations.push_back(std::move(entry));
  }
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    categories.push_back({{"id", dataset.source_labels[c]}, {"name", dataset.classes[c]}});
  const json file = {{"images", images}, {"annotations", annotations}, {"categories", categories}};
  write_file(path, file.dump() + "\n");
}

}  // namespace bbam
