#include "datasets/dataset.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "datasets/coco.h"
#include "datasets/voc.h"
#include "tensor/check.h"

namespace bbam {
namespace {

namespace fs = std::filesystem;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "(none)" : text;
}

int index_of(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : int(found - names.begin());
}

Image read_map(const std::string& path, const Record& record) {
  Image map = read_label_png(path);
  check(map.size() == record.size(), path, ": is ", map.width, " x ", map.height,
        " pixels; its picture is ", record.width, " x ", record.height);
  return map;
}

Rle runs_of(const Object& object, const Record& record) {
  if (object.runs) return *object.runs;
  check(!object.polygons.empty(), record.image_path, ": its object ", object.id, " has no mask");
  std::vector<Rle> parts;
  for (const auto& polygon : object.polygons)
    parts.push_back(rle_from_polygon(polygon, record.height, record.width));
  return rle_merge(parts, RleMerge::kUnion);
}

Image mask_of(const Object& object, const Record& record) {
  Image image(record.width, record.height, 1);
  const auto paint = [&](const Rle& runs, uint8_t value) {
    const Tensor mask = rle_decode(runs);
    for (size_t i = 0; i < image.pixels.size(); ++i)
      if (mask.data<uint8_t>()[i] != 0) image.pixels[i] = value;
  };
  paint(runs_of(object, record), 1);
  if (object.ignored) paint(*object.ignored, kVoid);
  return image;
}

Image mask_of(const Object& object, const Image& object_map) {
  Image mask(object_map.width, object_map.height, 1);
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const uint8_t value = object_map.pixels[i];
    mask.pixels[i] = value == kVoid ? kVoid : uint8_t(value == object.id);
  }
  return mask;
}

// Later objects are painted over earlier ones: crowds first, then large before small.
std::vector<size_t> painting_order(const std::vector<Object>& objects) {
  std::vector<size_t> order(objects.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (objects[a].crowd != objects[b].crowd) return objects[a].crowd;
    return objects[a].area_px > objects[b].area_px;
  });
  return order;
}

bool is_picture_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool is_plain_object(const Object& object) { return !object.difficult && !object.crowd; }

}  // namespace

int Dataset::label_of_source(int source) const {
  const auto found = std::find(source_labels.begin(), source_labels.end(), source);
  return found == source_labels.end() ? 0 : int(found - source_labels.begin()) + 1;
}

int Dataset::label_of(const std::string& name) const {
  const int index = index_of(classes, name);
  check(index >= 0, "there is no class \"", name, "\"; the classes are: ", joined(classes));
  return index + 1;
}

Dataset read_dataset(const std::string& root, const std::string& split,
                     const DatasetOptions& options) {
  check(fs::is_directory(root), root, ": no such folder; expected a data set");
  if (fs::is_directory(root + "/ImageSets")) return read_voc(root, split, options);
  const std::string json = root + "/annotations/instances_" + split + ".json";
  if (fs::exists(json)) return read_coco(json, root + "/" + split, options);
  check(!fs::is_directory(root + "/annotations"), json, ": no such file; is \"", split,
        "\" a split of this COCO data set?");
  fail(root, ": is in neither VOC layout (ImageSets/", split, ".txt) nor COCO layout (",
       "annotations/instances_", split, ".json)");
}

std::vector<std::string> pictures_in(const std::string& folder) {
  check(fs::is_directory(folder), folder, ": no such folder");
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_picture_name(entry.path())) paths.push_back(entry.path().string());
  check(!paths.empty(), folder, ": holds no .jpg, .jpeg or .png file");
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool has_masks(const Record& record) {
  if (!record.object_map_path.empty()) return true;
  return std::all_of(record.objects.begin(), record.objects.end(),
                     [](const Object& o) { return o.runs || !o.polygons.empty(); });
}

Image read_picture(const Record& record) {
  Image image = read_image(record.image_path);
  check(image.size() == record.size(), record.image_path, ": is ", image.width, " x ", image.height,
        " pixels; its annotation says ", record.width, " x ", record.height);
  return image;
}

std::vector<Image> read_masks(const Record& record) {
  std::vector<Image> masks;
  if (record.object_map_path.empty()) {
    for (const Object& object : record.objects) masks.push_back(mask_of(object, record));
    return masks;
  }
  const Image map = read_map(record.object_map_path, record);
  for (const Object& object : record.objects) masks.push_back(mask_of(object, map));
  return masks;
}

Image read_class_map(const Dataset& dataset, const Record& record) {
  if (!record.class_map_path.empty()) {
    Image map = read_map(record.class_map_path, record);
    for (uint8_t& value : map.pixels)
      if (value != 0 && value != kVoid) value = uint8_t(dataset.label_of_source(value));
    return map;
  }
  const std::vector<Image> masks = read_masks(record);
  Image map(record.width, record.height, 1);
  for (size_t k : painting_order(record.objects)) {
    const Object& object = record.objects[k];
    for (size_t i = 0; i < map.pixels.size(); ++i)
      if (masks[k].pixels[i] == 1) map.pixels[i] = object.crowd ? kVoid : uint8_t(object.label);
  }
  return map;
}

void choose_classes(Dataset& dataset, const std::vector<std::string>& names,
                    const std::vector<int>& source_labels, const DatasetOptions& options,
                    const std::string& source) {
  for (const std::string& name : options.classes.empty() ? names : options.classes) {
    const int index = index_of(names, name);
    check(index >= 0, source, ": has no class \"", name, "\"; its classes are: ", joined(names));
    check(index_of(dataset.classes, name) < 0, source, ": the class \"", name, "\" is given twice");
    dataset.classes.push_back(name);
    dataset.source_labels.push_back(source_labels[size_t(index)]);
  }
  check(dataset.classes.size() < kVoid, source, ": ", dataset.classes.size(),
        " classes; at most 254 fit a label map");
}

bool clip_box(PixelBox& box, ImageSize size, const std::string& where,
              std::vector<std::string>& problems) {
  const auto text = [](const PixelBox& b) {
    return join(b.x0, ", ", b.y0, ", ", b.x1, ", ", b.y1);
  };
  const float width = float(size.width), height = float(size.height);
  const PixelBox clipped{std::clamp(box.x0, 0.f, width), std::clamp(box.y0, 0.f, height),
                         std::clamp(box.x1, 0.f, width), std::clamp(box.y1, 0.f, height)};
  if (!(std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) &&
        std::isfinite(box.y1))) {
    problems.push_back(join(where, ": the box ", text(box), " is not finite; passed over"));
    return false;
  }
  if (box.x1 <= box.x0 || box.y1 <= box.y0) {
    problems.push_back(join(where, ": the box ", text(box), " has no area; passed over"));
    return false;
  }
  if (!(clipped.x1 > clipped.x0 && clipped.y1 > clipped.y0)) {
    problems.push_back(join(where, ": the box ", text(box), " lies outside the picture of ",
                            size.width, " x ", size.height, "; passed over"));
    return false;
  }
  const float cut = std::max(
      {clipped.x0 - box.x0, clipped.y0 - box.y0, box.x1 - clipped.x1, box.y1 - clipped.y1});
  if (cut > 1)
    problems.push_back(join(where, ": the box ", text(box), " leaves the picture of ", size.width,
                            " x ", size.height, "; clipped to it"));
  box = clipped;
  return true;
}

void finish_records(Dataset& dataset, const DatasetOptions& options, size_t listed,
                    const std::string& source) {
  check(listed > 0, source, ": names no pictures");
  check(!dataset.records.empty(), source, ": none of its ", listed, " pictures can be used; ",
        dataset.problems.empty() ? "" : dataset.problems[0]);
  if (options.keep_images_without_objects) return;
  std::erase_if(dataset.records, [](const Record& record) {
    return std::none_of(record.objects.begin(), record.objects.end(), is_plain_object);
  });
  check(!dataset.records.empty(), source, ": none of its ", listed,
        " pictures has an object of the classes: ", joined(dataset.classes));
}

}  // namespace bbam
