// The settings that a training run was begun with. They stay with its checkpoint, so that a run is
// resumed as it was begun or not at all.
#pragma once
#include <string>

#include "cli/command.h"
#include "datasets/dataset.h"

namespace bbam {

// Every option that changes what is trained. Beside the paths of the data and of the first weights,
// which may move, hashes of what was read from there: "data's content", "init's content". `init`
// may be empty. Pictures count by name, size, boxes and the masks that stand with the
// boxes, not by their pixels and not by maps in files of their own.
Settings training_settings(const Session& session, const Dataset& dataset, const std::string& init);

// As one line for a checkpoint's metadata, and back; the latter throws Error naming `file`.
std::string to_text(const Settings& settings);
Settings settings_from_text(const std::string& text, const std::string& file);

// Throws Error naming `file`, the first setting that differs and both its values.
void check_same_settings(Settings before, const Settings& now, const std::string& file);

}  // namespace bbam
