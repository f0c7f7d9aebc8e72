#include "cli/run_record.h"

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/fnv1a.h"
#include "cli/json_text.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/profile.h"

extern "C" char* openblas_get_config(void);  // declared only in a header that clashes with LAPACK's

namespace bbam {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

void add_file(Fnv1a& hash, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  check(file != nullptr, path, ": cannot be opened");
  std::vector<char> chunk(1 << 20);
  for (size_t n; (n = std::fread(chunk.data(), 1, chunk.size(), file)) > 0;)
    hash.add({chunk.data(), n});
  const bool whole = std::ferror(file) == 0;
  std::fclose(file);
  check(whole, path, ": could not be read to its end");
}

// A number or truth value where the text is how JSON writes one; else a string.
json natural(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  const bool same = (value.is_number() || value.is_boolean()) && value.dump() == text;
  return same ? value : json(text);
}

std::string plain(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string hash_input(const std::string& path) {
  Fnv1a hash;
  std::error_code error;
  if (!fs::is_directory(path)) {
    add_file(hash, path);
    return fmt::format("{:016x}", hash.state);
  }
  std::vector<std::string> entries;
  for (fs::recursive_directory_iterator i(path, error), end; i != end && !error; i.increment(error))
    if (i->is_regular_file(error))
      entries.push_back(fs::relative(i->path(), path).string() + '\0' +
                        std::to_string(i->file_size(error)));
  check(!error, path, ": cannot be listed: ", error.message());
  std::sort(entries.begin(), entries.end());
  for (const std::string& entry : entries) hash.add({entry.data(), entry.size() + 1});
  return fmt::format("{:016x}", hash.state);
}

std::string hash_text(const std::string& text) {
  Fnv1a hash;
  hash.add(text);
  return fmt::format("{:016x}", hash.state);
}

RunRecord::RunRecord(const Session& session)
    : base_(std::make_unique<json>()), inputs_(std::make_unique<json>(json::array())),
      results_(std::make_unique<json>(json::object())) {
  json settings = json::object();
  for (const auto& [name, values] : session.settings) {
    json list = json::array();
    for (const std::string& value : values) list.push_back(natural(value));
    settings[name] = values.size() == 1 ? list[0] : list;
  }
  (*base_)["program"] = std::string("bbam ") + kVersion;
  (*base_)["command"] = session.command;
  (*base_)["command_line"] = session.command_line;
  (*base_)["settings"] = settings;
  (*base_)["machine"] = {{"device", to_string(session.device)},
                         {"processor", processor_name()},
                         {"threads", threads()},
                         {"libraries", library_versions()}};
}

RunRecord::~RunRecord() = default;

void RunRecord::input(const std::string& path) {
  const char* of = fs::is_directory(path) ? "names and sizes of all files" : "the file's bytes";
  inputs_->push_back({{"path", path}, {"hash", "fnv1a64:" + hash_input(path)}, {"of", of}});
}

void RunRecord::add_seconds(const std::string& stage, double seconds) {
  for (auto& [name, sum_s] : seconds_) {
    if (name != stage) continue;
    sum_s += seconds;
    return;
  }
  seconds_.emplace_back(stage, seconds);
}

void RunRecord::write(const std::string& path) const {
  nlohmann::ordered_json record;
  for (const char* key : {"program", "command", "command_line", "settings", "machine"})
    record[key] = (*base_)[key];
  record["inputs"] = *inputs_;
  record["seconds"] = nlohmann::ordered_json::object();
  for (const auto& [stage, seconds] : seconds_)
    record["seconds"][stage] = std::round(seconds * 1000) / 1000;
  record["results"] = *results_;
  write_file(path, json_text(record, 2) + "\n");
}

RunRecord::Stage::Stage(RunRecord& record, std::string name)
    : record_(record), name_(std::move(name)), start_s_(profile::now_s()) {}
RunRecord::Stage::~Stage() { record_.add_seconds(name_, profile::now_s() - start_s_); }

Settings settings_of_run_record(const std::string& text, const std::string& file) {
  const json record = json::parse(text, nullptr, false);
  check(record.is_object() && record.contains("settings") && record["settings"].is_object(), file,
        ": is no run.json; expected a JSON object with a member \"settings\"");
  Settings settings;
  for (const auto& [name, value] : record["settings"].items()) {
    check(!value.is_object(), file, ": the setting '", name, "' is an object");
    if (value.is_array()) {
      for (const json& item : value) settings[name].push_back(plain(item));
    } else {
      settings[name] = {plain(value)};
    }
  }
  return settings;
}

std::string first_difference(const Settings& before, const Settings& now) {
  const auto text = [](const Settings& s, const std::string& name) {
    const auto found = s.find(name);
    return found == s.end() ? "" : fmt::format("{}", fmt::join(found->second, ","));
  };
  Settings all = before;
  all.insert(now.begin(), now.end());
  for (const auto& [name, values] : all)
    if (const std::string was = text(before, name), is = text(now, name); was != is)
      return fmt::format("{} '{}', not '{}'", name, was, is);
  return "";
}

Settings decisive_settings(const Session& session) {
  Settings settings = session.settings;
  for (const char* name : {"out", "threads", "profile"}) settings.erase(name);
  return settings;
}

namespace {

// The first entry by name that is not the settings, nor what another shard or a run that was
// stopped has beside them; "" if there is none.
std::string foreign_entry(const std::string& folder) {
  std::string first;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("settings.json") && (first.empty() || name < first)) first = name;
  }
  return first;
}

}  // namespace

void claim_folder(const std::string& folder, const Settings& settings) {
  make_folder(folder);
  const std::string file = (fs::path(folder) / "settings.json").string();
  const std::string text = json_text(json(settings), 1);
  const std::string foreign = foreign_entry(folder);
  // Asked last: another shard may have begun in the meantime.
  if (!fs::exists(file)) {
    check(foreign.empty(), folder, ": holds \"", foreign,
          "\" and no settings.json, so no run has begun it; expected a new or empty folder");
    write_file(file, text + "\n");
    return;
  }
  const std::string difference =
      first_difference(settings_of_folder(folder), json::parse(text).get<Settings>());
  check(difference.empty(), folder, ": was begun with ", difference,
        "; go on with the same settings, or write to another folder");
}

Settings settings_of_folder(const std::string& folder) {
  const std::string file = (fs::path(folder) / "settings.json").string();
  const json value = json::parse(read_file(file), nullptr, false);
  try {
    return value.get<Settings>();
  } catch (const json::exception&) {
    fail(file, ": is damaged, or not the settings of a run");
  }
}

std::string library_versions() {
  const dnnl_version_t* dnn = dnnl_version();
  std::string blas = openblas_get_config();
  blas = blas.substr(0, blas.find(' ', blas.find(' ') + 1));
  std::string text = fmt::format("oneDNN {}.{}.{}, {}", dnn->major, dnn->minor, dnn->patch, blas);
  const std::string cuda = available_devices().size() > 1 ? cuda::library_versions() : "";
  return cuda.empty() ? text : text + ", " + cuda;
}

std::string processor_name() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace bbam
