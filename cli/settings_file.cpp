#include "cli/settings_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/run_record.h"
#include "tensor/check.h"

namespace bbam {
namespace {

// Neither format has control characters but these; an error must not bring others to a terminal.
bool is_text(const std::string& bytes) {
  const auto is_control = [](char c) {
    return (uint8_t(c) < 32 || c == 127) && c != '\t' && c != '\r' && c != '\n';
  };
  return is_utf8(bytes) && std::none_of(bytes.begin(), bytes.end(), is_control);
}

// A results file is JSON too, and would pass for the name of a section.
bool is_json(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && (text[first] == '{' || nlohmann::json::accept(text));
}

// As one would type it after the option.
std::string text_of(const toml::node& value, const std::string& where) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* truth = value.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* whole = value.as_integer()) return std::to_string(whole->get());
  if (const auto* number = value.as_floating_point()) return fmt::format("{}", number->get());
  fail(where, ": expected a text, a number, true or false, or a list of these");
}

// Sections are items' parents.
void add_items(const toml::table& table, const std::vector<std::string>& parents,
               const std::string& file, std::vector<CLI::ConfigItem>& items) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (const auto* section = value.as_table()) {
      std::vector<std::string> path = parents;
      path.push_back(name);
      add_items(*section, path, file, items);
      continue;
    }
    const std::string where = join(file, ": line ", value.source().begin.line, ": ", name);
    items.push_back({parents, name, {}});
    if (const auto* list = value.as_array()) {
      for (const toml::node& entry : *list) items.back().inputs.push_back(text_of(entry, where));
    } else {
      items.back().inputs.push_back(text_of(value, where));
    }
  }
}

std::vector<CLI::ConfigItem> items_of_toml(const std::string& text, const std::string& file) try {
  std::vector<CLI::ConfigItem> items;
  add_items(toml::parse(text), {}, file, items);
  return items;
} catch (const toml::parse_error& error) {
  fail(file, ": line ", error.source().begin.line, ": ", error.description());
}

// By the name of an option, or of a positional argument.
bool is_setting_of(CLI::App& app, const std::string& name) {
  const CLI::Option* option = app.get_option_no_throw("--" + name);
  if (option == nullptr) option = app.get_option_no_throw(name);
  return option != nullptr && option->get_configurable();
}

// "train detector" is the command `detector` of the command `train`.
bool is_command(const CLI::App& root, const std::vector<std::string>& path) {
  const CLI::App* app = &root;
  for (const std::string& name : path) {
    const auto found =
        app->get_subcommands([&](const CLI::App* c) { return c->get_name() == name; });
    if (found.empty()) return false;
    app = found.front();
  }
  return true;
}

class SettingsReader : public CLI::ConfigTOML {
 public:
  explicit SettingsReader(CLI::App& root) : root_(root) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const auto file = root_.get_config_ptr()->as<std::string>();
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    check(is_text(text), file, ": is neither TOML nor a run.json");
    std::vector<CLI::ConfigItem> items;
    if (is_json(text)) {
      for (auto& [name, values] : settings_of_run_record(text, file))
        items.push_back({{}, name, values});
    } else {
      items = items_of_toml(text, file);
    }
    return for_command(items, file);
  }

 private:
  std::vector<CLI::ConfigItem> for_command(const std::vector<CLI::ConfigItem>& items,
                                           const std::string& file) const {
    std::vector<std::string> path;
    CLI::App* command = &root_;
    while (!command->get_subcommands().empty()) {
      command = command->get_subcommands().front();
      path.push_back(command->get_name());
    }
    std::vector<CLI::ConfigItem> kept;
    for (CLI::ConfigItem item : items) {
      check(is_command(root_, item.parents), file, ": [",
            fmt::format("{}", fmt::join(item.parents, ".")), "] is no command of bbam");
      if (!item.parents.empty() && item.parents != path) continue;
      const bool common = is_setting_of(root_, item.name);
      check(common || is_setting_of(*command, item.name), file, ": '", item.name,
            "' is no setting of bbam ", as_typed(path));
      item.parents = common ? std::vector<std::string>{} : path;
      kept.push_back(item);
    }
    return kept;
  }

  CLI::App& root_;
};

}  // namespace

std::shared_ptr<CLI::Config> settings_reader(CLI::App& root) {
  return std::make_shared<SettingsReader>(root);
}

}  // namespace bbam
