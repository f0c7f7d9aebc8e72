#include "cli/settings_file.h"

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

// CLI11 takes a line without "=" for a flag, and a list without an end for one that ends somewhere.
void check_toml(const std::string& text, const std::string& file) {
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    CLI::detail::trim(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') continue;
    const size_t equals = line.find('=');
    std::string value = equals == std::string::npos ? "" : line.substr(equals + 1);
    value = value.substr(0, value.find('#'));
    CLI::detail::trim(value);
    check(equals > 0 && !value.empty(), file, ": line ", number, ": expected NAME = VALUE");
    const int begin = number;
    while (value.size() > 1 && value.front() == '[' && value.back() != ']') {
      check(bool(std::getline(lines, line)), file, ": line ", begin,
            ": the list that begins here has no end; expected ]");
      CLI::detail::trim(line);
      value += line;
      ++number;
    }
  }
}

// By the name of an option, or of a positional argument.
bool is_setting_of(CLI::App& app, const std::string& name) {
  const CLI::Option* option = app.get_option_no_throw("--" + name);
  if (option == nullptr) option = app.get_option_no_throw(name);
  return option != nullptr && option->get_configurable();
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
      check_toml(text, file);
      std::istringstream lines(text);
      items = CLI::ConfigTOML::from_config(lines);
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
      const bool marks_a_section = item.name == "++" || item.name == "--";
      if (marks_a_section || !(item.parents.empty() || item.parents == path)) continue;
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
