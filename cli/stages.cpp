#include "cli/stages.h"

#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/interrupt.h"
#include "tensor/files.h"

namespace bbam {

using nlohmann::json;

Arguments operator+(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Arguments words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

void Stages::run(const std::string& name, const Arguments& command) {
  if (done(name)) return;
  Arguments line =
      command + Arguments{"--out",       path(name),
                          "--device",    to_string(session_.device),
                          "--precision", session_.precision == Precision::kTf32 ? "tf32" : "fp32",
                          "--seed",      std::to_string(session_.seed)};
  if (session_.given.count("threads") > 0)
    line = line + Arguments{"--threads"} + session_.settings["threads"];
  if (std::filesystem::exists(path(name + "/checkpoint.safetensors"))) line.push_back("--resume");
  session_.out << "\n$ bbam " << as_typed(line) << std::endl;
  Program program;
  add_all_commands(program);
  try {
    program.run_stage(line, session_);
  } catch (const Interrupted&) {
    throw Interrupted("stopped; the same command goes on");
  }
}

bool Stages::done(const std::string& name) const {
  return std::filesystem::exists(path(name + "/run.json"));
}

json Stages::results(const std::string& name) const { return record(name)["results"]; }
json Stages::settings(const std::string& name) const { return record(name)["settings"]; }

json Stages::record(const std::string& name) const {
  return json::parse(read_file(path(name + "/run.json")));
}

}  // namespace bbam
