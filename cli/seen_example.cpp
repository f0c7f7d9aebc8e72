#include "cli/seen_example.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/label_store.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

void remove_folder(const fs::path& place) {
  std::error_code error;
  fs::remove_all(place, error);
  check(!error, place.string(), ": cannot be replaced: ", error.message());
}

void read_facts(const std::string& path, SeenExample& example) {
  const json file = json::parse(read_file(path), nullptr, false);
  check(file.is_object(), path, ": is no JSON, or is cut off");
  try {
    example.image_id = file.at("image");
    example.kind = file.at("kind");
    for (const json& entry : file.at("classes")) example.classes[entry.at(0)] = entry.at(1);
  } catch (const json::exception& error) {
    fail(path, ": ", error.what());
  }
  check(example.kind == "objects" || example.kind == "classes", path, ": is of the kind '",
        example.kind, "'; expected objects or classes");
}

}  // namespace

void write_seen_example(const std::string& folder, const SeenExample& example) {
  const fs::path place = fs::path(folder) / stored_name(example.image_id);
  remove_folder(place);
  make_folder(place.string());
  write_jpeg((place / "image.jpg").string(), example.photograph, 95);
  write_jpeg((place / "prediction.jpg").string(), example.prediction, 95);
  if (example.truth) write_jpeg((place / "truth.jpg").string(), *example.truth, 95);
  json classes = json::array();
  for (const auto& [label, name] : example.classes) classes.push_back({label, name});
  const json facts = {{"image", example.image_id}, {"kind", example.kind}, {"classes", classes}};
  write_file((place / "example.json").string(), json_text(facts, 1) + "\n");
}

SeenExample read_seen_example(const std::string& folder) {
  const fs::path place(folder);
  SeenExample example;
  read_facts((place / "example.json").string(), example);
  example.photograph = read_image((place / "image.jpg").string());
  const auto read_drawn = [&](const char* name) {
    const std::string path = (place / name).string();
    Image drawn = read_image(path);
    check(drawn.size() == example.photograph.size(), path, ": is not of the photograph's size");
    return drawn;
  };
  example.prediction = read_drawn("prediction.jpg");
  if (fs::exists(place / "truth.jpg")) example.truth = read_drawn("truth.jpg");
  return example;
}

void remove_seen_examples(const std::string& folder) {
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> places;
  for (const auto& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "example.json")) places.push_back(entry.path());
  for (const fs::path& place : places) remove_folder(place);
}

std::vector<const Record*> spread_records(const Dataset& dataset, int most) {
  std::vector<const Record*> all, chosen;
  for (const Record& record : dataset.records)
    if (!record.objects.empty()) all.push_back(&record);
  const size_t wanted = std::min(size_t(std::max(most, 0)), all.size());
  for (size_t i = 0; i < wanted; ++i) chosen.push_back(all[i * all.size() / wanted]);
  return chosen;
}

}  // namespace bbam
