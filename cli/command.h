// How a command of the program says which options it takes; CLI11 does the parsing (command.cpp is
// the only file that includes it).
//
//   struct ConvertOptions { std::string in, out; bool list = false; };
//
//   void add_convert(Program& program) {
//     auto o = std::make_shared<ConvertOptions>();
//     Command command = program.add("convert", "Weights between formats");
//     command.option("IN", o->in, "the file to read").required();
//     command.flag("--list", o->list, "print a table of the tensors");
//     command.action([o](Session& session) { convert(*o, session); });
//   }
//
// The values that the variables hold when an option is added are its defaults. Whatever an option's
// name, it can also come from a --config file, under its long name without dashes.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "tensor/backend.h"
#include "tensor/device.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace bbam {

inline constexpr const char* kVersion = "0.1.0";

// Each option's value as text; several for lists. Options without a value are left out.
using Settings = std::map<std::string, std::vector<std::string>>;

// What a command works with.
struct Session {
  std::ostream& out;      // results
  std::ostream& err;      // progress and warnings
  bool terminal = false;  // whether err is one
  Device device = kCpu;
  Precision precision = Precision::kFp32;
  uint64_t seed = 1;
  std::string command = "";                    // "train detector"
  std::vector<std::string> command_line = {};  // as typed
  Settings settings = {};                      // as resolved, the common ones included
  std::set<std::string> given = {};            // settings that were typed or stand in --config

  Progress progress(const std::string& what, int64_t total, int64_t done = 0) {
    return Progress(err, terminal, what, total, done);
  }
  void warn(const std::string& line) { err << "bbam: " << line << std::endl; }
};

using Action = std::function<void(Session&)>;

// An option that was added; further demands on its value.
class Setting {
 public:
  explicit Setting(CLI::Option* option) : option_(option) {}
  Setting& required();
  Setting& between(double low, double high);
  Setting& one_of(const std::vector<std::string>& values);
  // What --help says of the value, where the variable's own type and value do not tell.
  Setting& shown_type(const std::string& type);
  Setting& shown_default(const std::string& text);

 private:
  CLI::Option* option_;
};

// Arguments as one types them in a shell: those that it would split or expand in quotes.
std::string as_typed(const std::vector<std::string>& arguments);

class Command {
 public:
  struct State;
  explicit Command(State& state) : state_(&state) {}

  // `names` in CLI11's way: "--out,-o", or "IMAGE" for a positional. T: int, int64_t, uint64_t,
  // double, std::string, or a vector of int, double or std::string.
  template <class T>
  Setting option(const std::string& names, T& value, const std::string& help);
  Setting flag(const std::string& names, bool& value, const std::string& help);
  // Text below the options.
  void footer(const std::string& text);
  void action(Action action);

 private:
  State* state_;
};

class Program {
 public:
  Program();
  ~Program();
  // `name` is one word, or two for a command of a family: "train detector".
  Command add(const std::string& name, const std::string& help);
  // For the help of the family itself: family("train", "...").
  void family(const std::string& name, const std::string& help);

  // Parses, runs the chosen command and returns the exit status: 0, 1 after an error (one line on
  // `err` that begins with "bbam: "), 130 after Ctrl-C. Nothing is thrown.
  int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
          bool terminal) noexcept;
  // The same from within a command, with its streams; errors are thrown.
  void run_stage(const std::vector<std::string>& arguments, const Session& session);

 private:
  struct Parser;
  void parse_and_run(const std::vector<std::string>& arguments, Session& session);
  std::unique_ptr<Parser> parser_;
};

// The program with all its commands.
void add_all_commands(Program& program);
int run_program(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
                bool terminal = false) noexcept;

}  // namespace bbam
