#include "cli/photographs.h"

#include <filesystem>
#include <map>
#include <set>

#include "cli/data_options.h"
#include "cli/interrupt.h"
#include "cli/json_text.h"
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

void for_each_photograph(const std::vector<std::string>& paths, Session& session,
                         const WithPhotograph& find, const WithPhotograph& keep) {
  size_t bad = 0;
  for (const std::string& path : paths) {
    stop_if_interrupted("stopped");
    Image picture;
    try {
      picture = read_image(path);
      find(path, picture);
    } catch (const Error& error) {
      session.warn(error.what());
      ++bad;
      continue;
    }
    keep(path, picture);
  }
  check(bad < paths.size(), "none of the ", paths.size(), " pictures could be used");
  if (bad > 0) session.warn(join(bad, " of ", paths.size(), " pictures were passed over"));
}

void for_each_picture(const Dataset& dataset, const std::string& name, Session& session,
                      std::vector<std::string>& problems, const WithPicture& find,
                      const WithPicture& keep) {
  Progress progress = session.progress(name, int64_t(dataset.records.size()));
  int64_t done = 0;
  for (const Record& record : dataset.records) {
    stop_if_interrupted("stopped after ", done, " pictures");
    Image picture;
    bool found = false;
    try {
      picture = read_picture(record);
      find(record, picture);
      found = true;
    } catch (const Error& error) {
      problems.push_back(error.what());
    }
    if (found && keep) keep(record, picture);
    progress.update(++done);
  }
}

void tell_problems(const std::vector<std::string>& problems, const Dataset& dataset,
                   const std::string& data, Session& session) {
  warn_of(problems, session);
  check(problems.size() < dataset.records.size(), data, ": none of the ", dataset.records.size(),
        " pictures could be used");
}

}  // namespace bbam
