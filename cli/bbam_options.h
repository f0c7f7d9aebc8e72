// The solver and the label step on the command line: two presets, and a switch of its own for each
// place where the paper and the authors' program differ (METHOD A2 to A8).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "attribution/bbam.h"
#include "attribution/pseudo_label.h"
#include "cli/command.h"

namespace bbam {

struct ExplainOptions {
  BbamOptions bbam;
  PseudoLabelOptions label;

  static ExplainOptions paper() { return {BbamOptions::paper(), PseudoLabelOptions::paper()}; }
  static ExplainOptions authors() {
    return {BbamOptions::authors(), PseudoLabelOptions::authors()};
  }
};

// The values given; those that were not are the preset's. Must outlive the parsing and not move.
struct ExplainSwitches {
  std::string preset = "authors", label;
  bool scale_stride = true;
  std::map<std::string, std::string> numbers_and_choices;  // by name, without dashes
  std::map<std::string, std::vector<std::string>> lists;
};

void add_solver_switches(Command& command, ExplainSwitches& switches);
void add_label_switches(Command& command, ExplainSwitches& switches);

// The preset with what was given on top, and each value, as resolved, noted in session.settings.
// Throws Error naming the option for values that make no sense.
ExplainOptions resolve(const ExplainSwitches& switches, Session& session);

// Of these names are the settings that decide about a map; the others are the label step's.
std::vector<std::string> solver_setting_names();

}  // namespace bbam
