// Commands that a command runs one after the other, as a user would type them, each into a folder
// of its own below one folder. Stopped and started again, they go on with the one under way.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/command.h"

namespace bbam {

using Arguments = std::vector<std::string>;
Arguments operator+(Arguments arguments, const Arguments& more);
// Split at blanks; not for paths, which may have some.
Arguments words_of(const std::string& text);

class Stages {
 public:
  Stages(std::string folder, Session& session) : folder_(std::move(folder)), session_(session) {}

  // Prints and runs `bbam COMMAND --out FOLDER/NAME`, with the session's device, precision, seed
  // and threads, unless it was done before; a training that was begun is resumed.
  void run(const std::string& name, const Arguments& command);
  bool done(const std::string& name) const;
  // `results` of the stage's run.json.
  nlohmann::json results(const std::string& name) const;
  nlohmann::json settings(const std::string& name) const;
  std::string path(const std::string& entry) const { return folder_ + "/" + entry; }

 private:
  nlohmann::json record(const std::string& name) const;

  std::string folder_;
  Session& session_;
};

}  // namespace bbam
