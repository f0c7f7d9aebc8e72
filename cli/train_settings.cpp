#include "cli/train_settings.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/run_record.h"
#include "tensor/check.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr const char* kInputs[] = {"data", "init"};

// How and where a run works, not what it computes. The device too: a run may move to another
// machine, where it goes on in other last bits. --layout is left to the data's content.
constexpr const char* kIndifferent[] = {"out",     "resume", "checkpoint-every", "workers",
                                        "threads", "device", "profile",          "layout"};

std::string content_name(const std::string& input) { return input + "'s content"; }

std::string hash_of(const Dataset& dataset) {
  std::string text;
  const auto end = std::back_inserter(text);
  for (const std::string& name : dataset.classes) fmt::format_to(end, "{}\n", name);
  for (const Record& record : dataset.records) {
    fmt::format_to(end, "{} {} {}\n", record.id, record.width, record.height);
    for (const Object& o : record.objects) {
      fmt::format_to(end, "{} {} {} {} {} {} {}\n", o.label, o.box.x0, o.box.y0, o.box.x1, o.box.y1,
                     o.difficult, o.crowd);
      for (const auto& runs : {o.runs, o.ignored})
        if (runs) fmt::format_to(end, "{}\n", rle_to_string(*runs));
    }
  }
  return "fnv1a64:" + hash_text(text);
}

}  // namespace

Settings training_settings(const Session& session, const Dataset& dataset,
                           const std::string& init) {
  Settings settings = session.settings;
  for (const char* name : kIndifferent) settings.erase(name);
  settings[content_name("data")] = {hash_of(dataset)};
  if (!init.empty()) settings[content_name("init")] = {"fnv1a64:" + hash_input(init)};
  return settings;
}

std::string to_text(const Settings& settings) { return json_text(json(settings), -1); }

Settings settings_from_text(const std::string& text, const std::string& file) try {
  return json::parse(text).get<Settings>();
} catch (const json::exception& error) {
  fail(file, ": its settings cannot be read: ", error.what());
}

void check_same_settings(Settings before, const Settings& now, const std::string& file) {
  Settings after = settings_from_text(to_text(now), file);
  // An option tells more than a hash, so contents are compared last; where they are the same, paths
  // may differ.
  Settings contents_before, contents_after;
  for (const char* input : kInputs) {
    const std::string name = content_name(input);
    const bool same = before[name] == after[name];
    contents_before[name] = before[name];
    contents_after[name] = after[name];
    for (Settings* settings : {&before, &after}) {
      settings->erase(name);
      if (same) settings->erase(input);
    }
  }
  std::string difference = first_difference(before, after);
  if (difference.empty()) difference = first_difference(contents_before, contents_after);
  check(difference.empty(), file, ": was begun with ", difference,
        "; go on with the same options, or train in another folder");
}

}  // namespace bbam
