// A folder of its own for one test, removed with everything in it.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace bbam::test {

class TempFolder {
 public:
  TempFolder() {
    const std::string place_for_letters(6, 'X');  // which mkdtemp chooses
    std::string pattern =
        std::filesystem::temp_directory_path() / ("bbam-test-" + place_for_letters);
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(const std::string& entry = "") const {
    return entry.empty() ? path_ : (std::filesystem::path(path_) / entry).string();
  }

 private:
  std::string path_;
};

}  // namespace bbam::test
