// Folders that a run fills: never one that holds something else.
#pragma once
#include <string>

#include "cli/command.h"

namespace bbam {

// claim_folder (cli/run_record.h), but throws Error naming an entry of a folder that no run has
// begun, so that a run cannot write over a data set or anything else of the user's.
void claim_output_folder(const std::string& folder, const Settings& settings);

// The settings but those on which no byte of the results depends.
Settings decisive_settings(const Session& session);

}  // namespace bbam
