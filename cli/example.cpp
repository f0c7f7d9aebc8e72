#include "cli/example.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/label_store.h"
#include "cli/npy.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json to_json(const ExampleBox& b) {
  json result = {{"box", {b.box.x0, b.box.y0, b.box.x1, b.box.y1}},
                 {"class", b.class_name},
                 {"label", b.label}};
  if (b.score >= 0) result["score"] = b.score;
  return result;
}

ExampleBox box_from(const json& value) {
  const json& corners = value.at("box");
  ExampleBox b;
  b.box = {corners.at(0), corners.at(1), corners.at(2), corners.at(3)};
  b.class_name = value.at("class");
  b.label = value.at("label");
  b.score = value.value("score", -1.0);
  return b;
}

json list_json(const std::vector<ExampleBox>& boxes) {
  json list = json::array();
  for (const ExampleBox& box : boxes) list.push_back(to_json(box));
  return list;
}

std::vector<ExampleBox> list_from(const json& file, const char* name) {
  std::vector<ExampleBox> boxes;
  for (const json& value : file.value(name, json::array())) boxes.push_back(box_from(value));
  return boxes;
}

void read_facts(const std::string& path, Example& example) {
  const json file = json::parse(read_file(path), nullptr, false);
  check(file.is_object(), path, ": is no JSON, or is cut off");
  try {
    example.image_id = file.at("image");
    example.object = file.at("object");
    example.subject = box_from(file.at("subject"));
    example.labelled = list_from(file, "labelled");
    example.detected = list_from(file, "detected");
    example.stride_px = file.value("stride_px", 0.0);
    example.proposals = file.value("proposals", int64_t(-1));
    example.seconds = file.value("seconds", -1.0);
    for (const json& entry : file.value("iou", json::array()))
      example.iou.emplace_back(entry.at(0), entry.at(1));
  } catch (const json::exception& error) {
    fail(path, ": ", error.what());
  }
}

// Runs `read`, and turns its failure into a line.
template <class F>
void try_read(const fs::path& path, std::vector<std::string>& problems, F&& read) {
  if (!fs::exists(path)) return;
  try {
    read(path.string());
  } catch (const Error& error) {
    problems.push_back(join(error.what(), "; left out"));
  }
}

}  // namespace

std::string example_id(const std::string& image_id, int object) {
  return stored_name(image_id) + "-" + std::to_string(object);
}

void write_example(const std::string& folder, const Example& example) {
  const fs::path place = fs::path(folder) / example.id();
  std::error_code error;
  fs::remove_all(place, error);
  check(!error, place.string(), ": cannot be replaced: ", error.message());
  make_folder(place.string());
  write_jpeg((place / "image.jpg").string(), example.picture, 95);
  for (const auto& [iteration, map] : example.maps)
    write_npy((place / fmt::format("map_{:03}.npy", iteration)).string(), map);
  if (!example.curve.rows.empty()) write_csv((place / "curve.csv").string(), example.curve);
  if (example.mask) write_label_png((place / "mask.png").string(), *example.mask);
  if (example.truth) write_label_png((place / "truth.png").string(), *example.truth);
  json iou = json::array();
  for (const auto& [name, value] : example.iou) iou.push_back({name, value});
  const json facts = {{"image", example.image_id},
                      {"object", example.object},
                      {"subject", to_json(example.subject)},
                      {"labelled", list_json(example.labelled)},
                      {"detected", list_json(example.detected)},
                      {"stride_px", example.stride_px},
                      {"proposals", example.proposals},
                      {"seconds", example.seconds},
                      {"iou", iou}};
  write_file((place / "object.json").string(), facts.dump(1) + "\n");
}

Example read_example(const std::string& folder, std::vector<std::string>& problems) {
  const fs::path place(folder);
  Example example;
  read_facts((place / "object.json").string(), example);
  example.picture = read_image((place / "image.jpg").string());
  for (const auto& entry : fs::directory_iterator(place)) {
    const std::string name = entry.path().filename().string();
    int iteration;
    if (std::sscanf(name.c_str(), "map_%d.npy", &iteration) != 1) continue;
    try_read(entry.path(), problems, [&](const std::string& path) {
      const Tensor map = read_npy(path);
      check(map.rank() == 2 && map.size() > 0, path, ": is ", map, "; expected (h, w)");
      example.maps[iteration] = map;
    });
  }
  try_read(place / "curve.csv", problems,
           [&](const std::string& path) { example.curve = read_csv(path); });
  const auto read_mask = [&](const char* name, std::optional<Image>& mask) {
    try_read(place / name, problems, [&](const std::string& path) {
      Image read = read_label_png(path);
      check(read.size() == example.picture.size(), path, ": is not of the picture's size");
      mask = std::move(read);
    });
  };
  read_mask("mask.png", example.mask);
  read_mask("truth.png", example.truth);
  return example;
}

}  // namespace bbam
