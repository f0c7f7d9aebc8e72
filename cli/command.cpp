#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/interrupt.h"
#include "cli/settings_file.h"
#include "tensor/check.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

using Texts = std::vector<std::string>;

template <class T>
Texts to_texts(const T& value) {
  return {fmt::format("{}", value)};
}
Texts to_texts(const std::string& value) { return value.empty() ? Texts{} : Texts{value}; }
template <class T>
Texts to_texts(const std::vector<T>& values) {
  Texts texts;
  for (const T& value : values) texts.push_back(fmt::format("{}", value));
  return texts;
}

template <class T>
constexpr bool is_list = false;
template <class T>
constexpr bool is_list<std::vector<T>> = true;

const char* type_name(const std::string&) { return "TEXT"; }
template <class T>
const char* type_name(const T&) {
  return std::is_floating_point_v<T> ? "X" : "N";
}
template <class T>
const char* type_name(const std::vector<T>&) {
  return std::is_same_v<T, std::string> ? "TEXT,..."
         : std::is_same_v<T, double>    ? "X,..."
                                        : "N,...";
}

// Options as "--name TYPE [default]".
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(32);
    label("SUBCOMMAND", "COMMAND");
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    const size_t negated = name.find("{false}");  // CLI11's mark of --no-... flags
    return negated == std::string::npos ? name : name.erase(negated, 7);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string text = " " + option->get_type_name();
    if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
    return option->get_required() ? text + " (required)" : text;
  }
};

struct CommonOptions {
  std::string device = "cpu", precision = "fp32", profile;
  uint64_t seed = 1;
  int threads = 0;
};

}  // namespace

struct Command::State {
  CLI::App* app = nullptr;
  std::string name;
  Action action;
  struct Value {
    CLI::Option* option;
    std::function<Texts()> texts;
  };
  std::vector<Value> values;
};

std::string as_typed(const std::vector<std::string>& arguments) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
      line += argument;
      continue;
    }
    line += '\'';
    for (const char c : argument) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

Setting& Setting::required() {
  option_->required();
  return *this;
}

Setting& Setting::between(double low, double high) {
  const auto test = [low, high](std::string& text) -> std::string {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return "";
    return fmt::format("{} is not between {} and {}", text, low, high);
  };
  option_->check(CLI::Validator(test, ""));
  return *this;
}

Setting& Setting::one_of(const std::vector<std::string>& values) {
  const auto test = [values](std::string& text) -> std::string {
    if (std::find(values.begin(), values.end(), text) != values.end()) return "";
    return fmt::format("'{}' is none of {}", text, fmt::join(values, ", "));
  };
  option_->check(CLI::Validator(test, ""));
  option_->type_name(fmt::format("{}", fmt::join(values, "|")));
  return *this;
}

Setting& Setting::shown_type(const std::string& type) {
  option_->type_name(type);
  return *this;
}

Setting& Setting::shown_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

template <class T>
Setting Command::option(const std::string& names, T& value, const std::string& help) {
  CLI::Option* option = state_->app->add_option(names, value, help);
  if constexpr (is_list<T>) {
    // One argument each, "--sizes 256,320", so that a list never swallows what follows it.
    if (!option->get_positional()) option->delimiter(',')->allow_extra_args(false);
    if (!value.empty()) option->default_str(fmt::format("{}", fmt::join(value, ",")));
  } else if constexpr (std::is_same_v<T, std::string>) {
    option->default_str(value);
  } else {
    option->default_str(fmt::format("{}", value));
  }
  option->type_name(type_name(value));
  if constexpr (std::is_same_v<T, uint64_t>) {
    const auto test = [](std::string& text) -> std::string {
      return text.rfind("-", 0) == 0 ? text + " is negative" : "";
    };
    option->check(CLI::Validator(test, ""));
  }
  state_->values.push_back({option, [&value] { return to_texts(value); }});
  return Setting(option);
}

template Setting Command::option(const std::string&, int&, const std::string&);
template Setting Command::option(const std::string&, int64_t&, const std::string&);
template Setting Command::option(const std::string&, uint64_t&, const std::string&);
template Setting Command::option(const std::string&, double&, const std::string&);
template Setting Command::option(const std::string&, std::string&, const std::string&);
template Setting Command::option(const std::string&, std::vector<int>&, const std::string&);
template Setting Command::option(const std::string&, std::vector<double>&, const std::string&);
template Setting Command::option(const std::string&, std::vector<std::string>&, const std::string&);

Setting Command::flag(const std::string& names, bool& value, const std::string& help) {
  CLI::Option* option = state_->app->add_flag(names, value, help);
  state_->values.push_back({option, [&value] { return to_texts(value); }});
  return Setting(option);
}

void Command::footer(const std::string& text) { state_->app->footer(text); }
void Command::action(Action action) { state_->action = std::move(action); }

// The parser: CLI11's root holds the common options, its subcommands fall through to it.
struct Program::Parser {
  CLI::App root{"Boxes in, pixel masks out: bounding-box attribution maps (BBAM)", "bbam"};
  CommonOptions common;
  Command::State common_values;  // of the root's own options
  std::vector<std::unique_ptr<Command::State>> commands;

  CLI::App& app_for(const std::string& name, const std::string& help) {
    CLI::App* app = &root;
    std::istringstream words(name);
    for (std::string word; words >> word;) {
      const auto named = [&](CLI::App* sub) { return sub->get_name() == word; };
      const std::vector<CLI::App*> known = app->get_subcommands(named);
      if (known.empty()) app->add_subcommand(word, help)->fallthrough()->group("Commands");
      app = app->get_subcommand(word);
    }
    return *app;
  }

  Command::State* chosen() {
    for (auto& command : commands) {
      CLI::App* app = command->app;
      if (app->parsed() && app->get_parent()->got_subcommand(app)) return command.get();
    }
    return nullptr;
  }
};

Program::Program() : parser_(std::make_unique<Parser>()) {
  CLI::App& root = parser_->root;
  CommonOptions& common = parser_->common;
  parser_->common_values.app = &root;
  Command options(parser_->common_values);
  options.option("--device", common.device, "cpu, cuda or cuda:K");
  options.option("--precision", common.precision, "of matrix products and convolutions on a GPU")
      .one_of({"fp32", "tf32"});
  options.option("--seed", common.seed, "of everything random");
  options.option("--threads", common.threads, "CPU threads; 0: one for each core").between(0, 1024);
  options.option("--profile", common.profile,
                 "write a trace of every kernel to this file (for Perfetto) and print their table");
  root.set_config("--config", "",
                  "settings from this file: TOML, or the run.json of an earlier run")
      ->type_name("FILE");
  root.set_version_flag("--version", std::string("bbam ") + kVersion);
  root.config_formatter(settings_reader(root));
  root.allow_config_extras(CLI::config_extras_mode::error);
  root.formatter(std::make_shared<HelpFormatter>());
}

Program::~Program() = default;

void Program::family(const std::string& name, const std::string& help) {
  parser_->app_for(name, help);
}

Command Program::add(const std::string& name, const std::string& help) {
  auto state = std::make_unique<Command::State>();
  state->app = &parser_->app_for(name, help);
  state->name = name;
  parser_->commands.push_back(std::move(state));
  return Command(*parser_->commands.back());
}

namespace {

// The common options below those of the command, so that --help shows all there is.
std::string help_text(CLI::App& root) {
  std::string text = root.help();
  if (root.get_subcommands().empty()) return text;
  const auto is_common = [&](const CLI::Option* option) { return option != root.get_help_ptr(); };
  const CLI::App& constant_root = root;
  return text +
         static_cast<CLI::Formatter&>(*root.get_formatter())
             .make_group("Common to all commands", false, constant_root.get_options(is_common));
}

// Sets the machine up as the common options say, for as long as one lives.
class Machine {
 public:
  Machine(const CommonOptions& common, Session& session) : profile_(common.profile) {
    session.device = parse_device(common.device);
    session.precision = common.precision == "tf32" ? Precision::kTf32 : Precision::kFp32;
    session.seed = common.seed;
    set_precision(session.precision);
    if (common.threads > 0) set_threads(common.threads);
    if (!profile_.empty()) profile::start();
  }
  ~Machine() {
    if (!profile_.empty()) profile::stop();
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void finish(Session& session) {
    if (profile_.empty()) return;
    profile::stop();
    profile::write_trace(profile_);
    session.out << profile::table();
  }

 private:
  std::string profile_;
};

}  // namespace

void Program::parse_and_run(const std::vector<std::string>& arguments, Session& session) {
  // CLI11 takes the arguments in reverse order.
  parser_->root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  Command::State* command = parser_->chosen();
  check(command != nullptr, "which command? See bbam --help");
  session.command = command->name;
  for (const auto* values : {&command->values, &parser_->common_values.values})
    for (const auto& [option, texts] : *values) {
      const std::string name = option->get_single_name();
      if (!texts().empty()) session.settings[name] = texts();
      if (option->count() > 0) session.given.insert(name);
    }
  Machine machine(parser_->common, session);
  command->action(session);
  machine.finish(session);
  session.out << std::flush;
  check(session.out.good(), "standard output could not be written");
}

void Program::run_stage(const std::vector<std::string>& arguments, const Session& session) try {
  Session stage{session.out, session.err, session.terminal};
  stage.command_line = arguments;
  parse_and_run(arguments, stage);
} catch (const CLI::ParseError& error) {
  fail(error.what());
}

int Program::run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
                 bool terminal) noexcept {
  try {
    Session session{out, err, terminal};
    session.command_line = arguments;
    parse_and_run(arguments, session);
    return 0;
  } catch (const CLI::CallForHelp&) {
    out << help_text(parser_->root);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    out << version.what() << '\n';
    return 0;
  } catch (const CLI::ParseError& error) {
    std::string command = "bbam";
    for (CLI::App* app = &parser_->root; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      command += " " + app->get_name();
    }
    err << "bbam: " << error.what() << "; see " << command << " --help\n";
  } catch (const Interrupted& stop) {
    err << "bbam: " << stop.what() << '\n';
    return 130;
  } catch (const std::bad_alloc&) {
    err << "bbam: out of memory\n";
  } catch (const std::exception& error) {
    err << "bbam: " << error.what() << '\n';
  }
  return 1;
}

}  // namespace bbam
