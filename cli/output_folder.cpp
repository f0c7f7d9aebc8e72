#include "cli/output_folder.h"

#include <filesystem>

#include "cli/run_record.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {

namespace fs = std::filesystem;

void claim_output_folder(const std::string& folder, const Settings& settings) {
  make_folder(folder);
  std::string foreign;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    // Also not what another shard, or one that was stopped, has beside it.
    if (name.starts_with("settings.json")) continue;
    if (foreign.empty() || name < foreign) foreign = name;
  }
  // Asked last: another shard may have begun in the meantime.
  check(foreign.empty() || fs::exists(folder + "/settings.json"), folder, ": holds \"", foreign,
        "\" and no settings.json, so no run has begun it; expected a new or empty folder");
  claim_folder(folder, settings);
}

Settings decisive_settings(const Session& session) {
  Settings settings = session.settings;
  for (const char* name : {"out", "threads", "profile"}) settings.erase(name);
  return settings;
}

}  // namespace bbam
