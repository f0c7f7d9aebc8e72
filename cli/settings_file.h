// What --config reads: TOML, or the run.json that a run has left.
#pragma once
#include <memory>

namespace CLI {
class App;
class Config;
}  // namespace CLI

namespace bbam {

// For the parser whose root this is. Flat entries, and those in a section of the chosen command's
// name ([evaluate], [train.detector]), are that command's. Throws Error naming the file.
std::shared_ptr<CLI::Config> settings_reader(CLI::App& root);

}  // namespace bbam
