#include "cli/photographs.h"

#include <filesystem>
#include <map>
#include <set>

#include "cli/json_text.h"
#include "datasets/dataset.h"
#include "tensor/check.h"

namespace bbam {

std::string stem_of(const std::string& path) { return std::filesystem::path(path).stem().string(); }

std::string drawn_path(const std::string& out, const std::string& photograph) {
  return out + "/" + stem_of(photograph) + ".jpg";
}

std::vector<std::string> with_folders_opened(const std::vector<std::string>& paths) {
  std::vector<std::string> pictures;
  for (const std::string& path : paths) {
    const bool is_folder = std::filesystem::is_directory(path);
    const auto more = is_folder ? pictures_in(path) : std::vector<std::string>{path};
    pictures.insert(pictures.end(), more.begin(), more.end());
  }
  return pictures;
}

void check_drawn(const std::vector<std::string>& images, const std::string& out) {
  namespace fs = std::filesystem;
  std::set<fs::path> photographs;
  std::map<std::string, std::string> drawn;
  for (const std::string& path : images) photographs.insert(fs::weakly_canonical(path));
  for (const std::string& path : images) {
    check(is_utf8(path), path, ": its name is not UTF-8, as detections.json has to be; rename it");
    const std::string place = drawn_path(out, path);
    const auto [other, is_new] = drawn.emplace(place, path);
    check(is_new, path, ": would be drawn to ", place, ", as would ", other->second,
          "; expected pictures of different names");
    check(photographs.count(fs::weakly_canonical(place)) == 0, place,
          ": is one of the photographs, which drawing would replace; give another --out");
  }
}

}  // namespace bbam
