#include "datasets/coco.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

const json& field(const json& parent, const char* name) {
  check(parent.is_object() && parent.contains(name), "it has no \"", name, "\"");
  return parent[name];
}

int64_t integer(const json& parent, const char* name) {
  const json& value = field(parent, name);
  check(value.is_number_integer(), "\"", name, "\" is ", value.type_name(),
        "; expected an integer");
  return value.get<int64_t>();
}

std::string text(const json& parent, const char* name) {
  const json& value = field(parent, name);
  check(value.is_string(), "\"", name, "\" is ", value.type_name(), "; expected a text");
  return value.get<std::string>();
}

const json& list(const json& parent, const char* name) {
  const json& value = field(parent, name);
  check(value.is_array(), "\"", name, "\" is ", value.type_name(), "; expected a list");
  return value;
}

// A list of finite numbers within 10^6.
std::vector<double> pixels(const json& value, const char* name) {
  check(value.is_array(), "\"", name, "\" is ", value.type_name(), "; expected a list of numbers");
  std::vector<double> numbers;
  for (const json& number : value) {
    check(number.is_number() && std::abs(number.get<double>()) <= 1e6, "\"", name, "\" holds ",
          number.dump().substr(0, 40), "; expected numbers of pixels");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

Rle read_runs(const json& segmentation, ImageSize size) {
  const std::vector<double> extents = pixels(field(segmentation, "size"), "size");
  check(extents.size() == 2 && extents[0] == size.height && extents[1] == size.width,
        "the mask's size is ", segmentation["size"].dump(), "; its picture's is [", size.height,
        ",", size.width, "]");
  const json& counts = field(segmentation, "counts");
  if (counts.is_string())
    return rle_from_string(counts.get_ref<const std::string&>(), size.height, size.width);
  check(counts.is_array(), "\"counts\" is ", counts.type_name(), "; expected a text or a list");
  std::vector<int64_t> runs;
  for (const json& count : counts) {
    check(count.is_number_integer(), "\"counts\" holds ", count.dump().substr(0, 40),
          "; expected integers");
    runs.push_back(count.get<int64_t>());
  }
  return rle_from_counts(runs, size.height, size.width);
}

// Polygons that enclose nothing are left out: the box and the other polygons hold without them.
void read_mask(const json& segmentation, ImageSize size, Object& object, const std::string& where,
               std::vector<std::string>& problems) {
  if (segmentation.is_object()) {
    object.runs = read_runs(segmentation, size);
    return;
  }
  check(segmentation.is_array(), "\"segmentation\" is ", segmentation.type_name(),
        "; expected polygons or runs");
  for (const json& polygon : segmentation) {
    std::vector<double> xy = pixels(polygon, "segmentation");
    if (xy.size() >= 6 && xy.size() % 2 == 0)
      object.polygons.push_back(std::move(xy));
    else
      problems.push_back(join(where, ": a polygon of ", xy.size(),
                              " numbers, left out; expected at least three points x, y"));
  }
}

class Reader {
 public:
  Reader(const std::string& json_path, const std::string& image_folder,
         const DatasetOptions& options)
      : path_(json_path), folder_(image_folder), options_(options) {}

  Dataset read() {
    const json root = parse();
    try {
      read_categories(list(root, "categories"));
      const json& images = list(root, "images");
      for (const json& image : images)
        dataset_.pictures_passed_over += !reads("image", image, [&] { read_image(image); });
      for (const json& annotation : list(root, "annotations"))
        reads("annotation", annotation, [&] { read_annotation(annotation); });
      finish_records(dataset_, options_, images.size(), path_);
    } catch (const Error& error) {
      const std::string what = error.what();
      fail(what.starts_with(path_) ? "" : path_ + ": ", what);
    }
    return std::move(dataset_);
  }

 private:
  json parse() const {
    const std::string text = read_file(path_);
    try {
      return json::parse(text);
    } catch (const json::exception& error) {
      fail(path_, ": is not JSON: ", error.what());
    }
  }

  // Whether the entry could be read; if not, it is passed over.
  template <class F>
  bool reads(const char* kind, const json& entry, F&& read_entry) {
    try {
      read_entry();
      return true;
    } catch (const Error& error) {
      const std::string id =
          entry.is_object() && entry.contains("id") ? entry["id"].dump() : "without an id";
      dataset_.problems.push_back(
          join(path_, ": ", kind, " ", id, ": ", error.what(), "; passed over"));
      return false;
    }
  }

  void read_categories(const json& categories) {
    std::vector<std::pair<int, std::string>> classes;
    for (const json& category : categories) {
      const int64_t id = integer(category, "id");
      check(id > 0 && id < 1000000, "a category has the id ", id, "; expected a positive number");
      classes.emplace_back(int(id), text(category, "name"));
    }
    check(!classes.empty(), "\"categories\" is empty");
    std::sort(classes.begin(), classes.end());
    std::vector<std::string> names;
    for (const auto& [id, name] : classes) {
      check(ids_.empty() || ids_.back() != id, "two categories have the id ", id);
      ids_.push_back(id);
      names.push_back(name);
    }
    choose_classes(dataset_, names, ids_, options_, path_);
  }

  void read_image(const json& image) {
    const int64_t id = integer(image, "id");
    const int64_t width = integer(image, "width"), height = integer(image, "height");
    check(width >= 1 && width <= kMaxImageSide && height >= 1 && height <= kMaxImageSide,
          "its size is ", width, " x ", height, " pixels");
    const std::string path = folder_ + "/" + text(image, "file_name");
    check(std::filesystem::exists(path), path, ": no such picture");
    check(record_of_image_.emplace(id, dataset_.records.size()).second, "a second one of this id");
    dataset_.records.push_back(
        {.id = std::to_string(id), .image_path = path, .width = int(width), .height = int(height)});
  }

  void read_annotation(const json& annotation) {
    const int64_t category = integer(annotation, "category_id");
    check(std::find(ids_.begin(), ids_.end(), category) != ids_.end(), "its category ", category,
          " is not in \"categories\"");
    const auto found = record_of_image_.find(integer(annotation, "image_id"));
    check(found != record_of_image_.end(), "its image ", annotation["image_id"].dump(),
          " is not in \"images\", or was passed over");
    Record& record = dataset_.records[found->second];

    Object object{.label = dataset_.label_of_source(int(category))};
    if (object.label == 0) return;
    object.id = integer(annotation, "id");
    object.crowd = annotation.contains("iscrowd") && annotation["iscrowd"] == 1;
    const std::string where = join(path_, ": annotation ", object.id);
    const std::vector<double> box = pixels(field(annotation, "bbox"), "bbox");
    check(box.size() == 4, "\"bbox\" has ", box.size(), " numbers; expected x, y, width, height");
    object.box = {float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3])};
    if (annotation.contains("segmentation"))
      read_mask(annotation["segmentation"], record.size(), object, where, dataset_.problems);
    if (!clip_box(object.box, record.size(), where, dataset_.problems)) return;
    const json area = annotation.value("area", json());
    object.area_px = area.is_number() ? area.get<double>() : object.box.area();
    check(object.area_px >= 0, "\"area\" is ", area.dump(), "; expected 0 or more");
    record.objects.push_back(std::move(object));
  }

  const std::string path_, folder_;
  const DatasetOptions& options_;
  Dataset dataset_;
  std::vector<int> ids_;  // of all categories, ascending
  std::unordered_map<int64_t, size_t> record_of_image_;
};

}  // namespace

Dataset read_coco(const std::string& json_path, const std::string& image_folder,
                  const DatasetOptions& options) {
  return Reader(json_path, image_folder, options).read();
}

}  // namespace bbam
