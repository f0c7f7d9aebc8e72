// What bbam pseudo-label leaves, read back for comparison.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/explain_fixture.h"

namespace bbam::test {

// What a run leaves, without the times it took, and without the examples, which have them too.
inline std::map<std::string, std::string> labels_in(const std::string& folder) {
  auto files = files_in(folder);
  std::erase_if(files, [](const auto& file) {
    return file.first.starts_with("run") || file.first.starts_with("objects/");
  });
  for (auto& [name, bytes] : files) {
    if (name.rfind("images/", 0) != 0) continue;
    auto image = nlohmann::json::parse(bytes);
    image.erase("seconds");
    bytes = image.dump();
  }
  return files;
}

inline nlohmann::json results_of(const std::string& folder) {
  return nlohmann::json::parse(read_file(folder + "/run.json"))["results"];
}

}  // namespace bbam::test
