// run.json: how a result was made, written beside it.
//
//   { "program": "bbam 0.1.0", "command": "train detector", "command_line": [...],
//     "settings": {"batch": 2, ...},             every option as resolved, defaults included
//     "machine": {"device", "processor", "threads", "libraries"},
//     "inputs": [{"path", "hash", "of"}],         see hash_input
//     "seconds": {"stage": s, ...}, "results": {...} }
//
// `bbam COMMAND --config run.json` takes the settings from there: the same run again.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace bbam {

class RunRecord {
 public:
  explicit RunRecord(const Session& session);
  ~RunRecord();

  // Notes the file or folder with its hash; throws Error when it cannot be read.
  void input(const std::string& path);
  // Seconds of a named stage; adds to what the stage has.
  void add_seconds(const std::string& stage, double seconds);
  const std::vector<std::pair<std::string, double>>& seconds() const { return seconds_; }
  nlohmann::json& results() { return *results_; }
  void write(const std::string& path) const;

  // Adds the time between its construction and destruction to a stage.
  class Stage {
   public:
    Stage(RunRecord& record, std::string name);
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

   private:
    RunRecord& record_;
    std::string name_;
    double start_s_;
  };

 private:
  std::unique_ptr<nlohmann::json> base_, inputs_, results_;
  std::vector<std::pair<std::string, double>> seconds_;
};

// 64-bit FNV-1a, as 16 hexadecimal digits: tells versions of a file apart, and resists no attacker.
// Of a file: of its bytes. Of a folder: of the names and sizes of all files below it, by name.
std::string hash_input(const std::string& path);
std::string hash_text(const std::string& text);

// The settings of a run.json's text; throws Error naming `file` when it is none.
Settings settings_of_run_record(const std::string& text, const std::string& file);

// The first setting, by name, that is not the same in both: "lr '0.01', not '0.02'"; "" if none.
std::string first_difference(const Settings& before, const Settings& now);

// The settings but those on which no byte of the results depends.
Settings decisive_settings(const Session& session);

// A folder that belongs to one run: creates it and notes these settings in settings.json. Throws
// Error naming the first setting that differs where another run has begun it, or an entry where no
// run has: a run must not write over a data set or anything else of the user's.
void claim_folder(const std::string& folder, const Settings& settings);
// Throws Error when the folder belongs to no run.
Settings settings_of_folder(const std::string& folder);

// "oneDNN 2.6.0, OpenBLAS 0.3.21, ..." and the CUDA ones where built with them.
std::string library_versions();
std::string processor_name();

}  // namespace bbam
