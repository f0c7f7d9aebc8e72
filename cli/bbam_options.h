// Maps and the label step on the command line: BBAM's solver or a method that figure 7(c) compares
// it with, two presets, and a switch of its own for each place where the paper and the authors'
// program differ (METHOD A2 to A8).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "attribution/bbam.h"
#include "attribution/gradient_maps.h"
#include "attribution/pseudo_label.h"
#include "cli/command.h"

namespace bbam {

enum class AttributionMethod { kBbam, kSimpleGrad, kSmoothGrad, kGradCam };
const char* to_string(AttributionMethod method);

struct ExplainOptions {
  BbamOptions bbam;  // the gradient methods have its positives and its heads
  PseudoLabelOptions label;
  AttributionMethod method = AttributionMethod::kBbam;
  SmoothGradSpec smooth = {};  // but the seed, which is the object's

  // What a gradient method differentiates: the score of the heads that are asked.
  ScoreOf score() const;

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
// Of those the preset, the heads and what decides about positive proposals.
void add_positive_switches(Command& command, ExplainSwitches& switches);
void add_label_switches(Command& command, ExplainSwitches& switches);

// The preset with what was given on top, and each value that the command has an option for, as
// resolved, noted in session.settings.
// Throws Error naming the option for values that make no sense, and for options given that do
// nothing for the method; those have no setting.
ExplainOptions resolve(const ExplainSwitches& switches, Session& session);

// The options that resolve() noted in these settings; what is not among them is the preset's.
// Throws Error naming a setting that cannot be read.
ExplainOptions recorded_options(const Settings& settings);

// Of these names are the settings that decide about a map; the others are the label step's.
std::vector<std::string> solver_setting_names();

}  // namespace bbam
