#include "datasets/voc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <pugixml.hpp>
#include <sstream>

#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

namespace fs = std::filesystem;

std::string trimmed(std::string_view text) {
  const char* blanks = " \t\r\n";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream stream(read_file(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    if (line = trimmed(line); !line.empty()) lines.push_back(line);
  return lines;
}

std::vector<std::string> class_names(const std::string& root) {
  const std::string path = root + "/classes.txt";
  if (!fs::exists(path)) return voc_classes();
  std::vector<std::string> names = lines_of(path);
  check(!names.empty(), path, ": is empty; expected one class name a line");
  return names;
}

std::string list_path(const std::string& root, const std::string& split) {
  std::string present;
  for (const std::string folder : {"", "Main/", "Segmentation/"}) {
    const std::string path = root + "/ImageSets/" + folder + split + ".txt";
    if (fs::is_regular_file(path)) return path;
  }
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/ImageSets"))
    if (entry.path().extension() == ".txt")
      names.push_back(entry.path().parent_path().filename() / entry.path().stem());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) present += " " + name;
  fail(root, "/ImageSets: has no list \"", split, "\"; its lists are:", present);
}

// "ID", or "ID FLAG" where a flag of -1 says that the class does not occur.
std::vector<std::string> read_ids(const std::string& path) {
  std::vector<std::string> ids;
  for (const std::string& line : lines_of(path)) {
    std::istringstream words(line);
    std::string id, more;
    int flag = 1;
    words >> id;
    if (words >> std::ws && !words.eof())
      check(bool(words >> flag) && !(words >> more), path, ": \"", line,
            "\" is neither \"ID\" nor \"ID FLAG\"");
    if (flag >= 0) ids.push_back(id);
  }
  return ids;
}

// The number in <name>; throws Error where it is missing, not a number, or absurd.
double number_in(const pugi::xml_node& parent, const char* name) {
  const pugi::xml_node node = parent.child(name);
  check(bool(node), "<", parent.name(), "> has no <", name, ">");
  const std::string text = trimmed(node.child_value());
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && std::abs(value) <= 1e6, "<",
        name, "> is \"", text.substr(0, 40), "\"; expected a number of pixels");
  return value;
}

std::string find_picture(const std::string& root, const std::string& id) {
  for (const char* extension : {".jpg", ".jpeg", ".png"})
    if (const std::string path = root + "/JPEGImages/" + id + extension; fs::exists(path))
      return path;
  fail(root, "/JPEGImages/", id, ".jpg: no such picture");
}

std::string path_if_present(const std::string& path) { return fs::exists(path) ? path : ""; }

ImageSize size_in(const pugi::xml_node& annotation, const std::string& image_path) {
  if (const pugi::xml_node size = annotation.child("size")) {
    const double width = number_in(size, "width"), height = number_in(size, "height");
    if (width != 0 || height != 0) {
      check(width >= 1 && width <= kMaxImageSide && height >= 1 && height <= kMaxImageSide,
            "<size> is ", width, " x ", height, " pixels");
      return {int(width), int(height)};
    }
  }
  return read_image_size(image_path);
}

class AnnotationReader {
 public:
  AnnotationReader(const std::vector<std::string>& names, Dataset& dataset)
      : names_(names), dataset_(dataset) {}

  void read(const std::string& path, Record& record) {
    path_ = path;
    const std::string text = read_file(path);
    pugi::xml_document document;
    const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
    check(bool(result), path, ": is not well-formed XML: ", result.description(), " at byte ",
          result.offset);
    const pugi::xml_node annotation = document.child("annotation");
    check(bool(annotation), path, ": has no <annotation>");
    try {
      const ImageSize size = size_in(annotation, record.image_path);
      record.width = size.width;
      record.height = size.height;
    } catch (const Error& error) {
      fail(path, ": ", error.what());
    }
    int64_t id = 0;
    for (const pugi::xml_node& object : annotation.children("object"))
      read_object(object, ++id, record);
  }

 private:
  void read_object(const pugi::xml_node& node, int64_t id, Record& record) {
    const std::string name = trimmed(node.child_value("name"));
    const std::string where = join(path_, ": object ", id, " (\"", name, "\")");
    try {
      check(bool(node.child("name")), "it has no <name>");
      const auto found = std::find(names_.begin(), names_.end(), name);
      check(found != names_.end(), "no such class");
      const pugi::xml_node bounds = node.child("bndbox");
      check(bool(bounds), "it has no <bndbox>");
      Object object{.id = id};
      object.label = dataset_.label_of_source(int(found - names_.begin()) + 1);
      object.box = {float(number_in(bounds, "xmin") - 1), float(number_in(bounds, "ymin") - 1),
                    float(number_in(bounds, "xmax")), float(number_in(bounds, "ymax"))};
      object.difficult = trimmed(node.child_value("difficult")) == "1";
      if (object.label == 0 || !clip_box(object.box, record.size(), where, dataset_.problems))
        return;
      object.area_px = object.box.area();
      record.objects.push_back(std::move(object));
    } catch (const Error& error) {
      dataset_.problems.push_back(join(where, ": ", error.what(), "; passed over"));
    }
  }

  const std::vector<std::string>& names_;
  Dataset& dataset_;
  std::string path_;
};

}  // namespace

const std::vector<std::string>& voc_classes() {
  static const std::vector<std::string> names{
      "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",      "car",
      "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",    "motorbike",
      "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};
  return names;
}

Dataset read_voc(const std::string& root, const std::string& split, const DatasetOptions& options) {
  const std::vector<std::string> names = class_names(root);
  const std::string list = list_path(root, split);
  const std::vector<std::string> ids = read_ids(list);
  std::vector<int> source_labels(names.size());
  for (size_t i = 0; i < names.size(); ++i) source_labels[i] = int(i) + 1;

  Dataset dataset;
  dataset.numbers_objects = true;
  choose_classes(dataset, names, source_labels, options, root);
  AnnotationReader reader(names, dataset);
  for (const std::string& id : ids) try {
      Record record{.id = id, .image_path = find_picture(root, id)};
      record.class_map_path = path_if_present(root + "/SegmentationClass/" + id + ".png");
      record.object_map_path = path_if_present(root + "/SegmentationObject/" + id + ".png");
      reader.read(root + "/Annotations/" + id + ".xml", record);
      dataset.records.push_back(std::move(record));
    } catch (const Error& error) {
      dataset.problems.push_back(join(error.what(), "; picture passed over"));
      ++dataset.pictures_passed_over;
    }
  finish_records(dataset, options, ids.size(), list);
  return dataset;
}

Dataset read_voc_annotation(const std::string& xml_path, const std::string& image_path,
                            const std::vector<std::string>& classes) {
  Dataset dataset;
  std::vector<int> source_labels;
  for (size_t i = 0; i < classes.size(); ++i) source_labels.push_back(int(i) + 1);
  choose_classes(dataset, classes, source_labels, {}, xml_path);
  Record record{.id = fs::path(image_path).stem().string(), .image_path = image_path};
  AnnotationReader(classes, dataset).read(xml_path, record);
  dataset.records.push_back(std::move(record));
  return dataset;
}

void write_voc_annotation(const std::string& path, const Record& record,
                          const std::vector<std::string>& classes) {
  pugi::xml_document document;
  pugi::xml_node annotation = document.append_child("annotation");
  const auto add = [](pugi::xml_node parent, const char* name, const auto& value) {
    parent.append_child(name).text().set(value);
  };
  add(annotation, "filename", fs::path(record.image_path).filename().c_str());
  pugi::xml_node size = annotation.append_child("size");
  add(size, "width", record.width);
  add(size, "height", record.height);
  add(size, "depth", 3);
  add(annotation, "segmented", int(!record.object_map_path.empty()));
  for (const Object& object : record.objects) {
    pugi::xml_node node = annotation.append_child("object");
    add(node, "name", classes.at(size_t(object.label - 1)).c_str());
    add(node, "difficult", int(object.difficult));
    pugi::xml_node bounds = node.append_child("bndbox");
    add(bounds, "xmin", int(std::lround(object.box.x0)) + 1);
    add(bounds, "ymin", int(std::lround(object.box.y0)) + 1);
    add(bounds, "xmax", int(std::lround(object.box.x1)));
    add(bounds, "ymax", int(std::lround(object.box.y1)));
  }
  std::ostringstream text;
  document.save(text, "  ", pugi::format_indent | pugi::format_no_declaration);
  write_file(path, text.str());
}

}  // namespace bbam
