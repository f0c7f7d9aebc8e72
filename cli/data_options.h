// The options by which commands are told their data set.
#pragma once
#include <string>
#include <vector>

#include "cli/command.h"
#include "datasets/dataset.h"

namespace bbam {

struct DataOptions {
  std::string data, layout = "auto", split = "val";
  std::vector<std::string> classes;
  int64_t pictures = 0;  // 0: all
  uint64_t pictures_seed = 1;
  double box_noise = 0;  // share of its sides by which every box is grown, or shrunk where negative
};

// --data (required), --layout, --split, --classes, --pictures, --pictures-seed, --box-noise.
void add_data_options(Command& command, DataOptions& options);

// Reads it, and warns of what was passed over. Fewer pictures are drawn, without replacement, among
// those that have objects of the classes. Boxes that were grown stay in their pictures.
Dataset open_dataset(const DataOptions& options, Session& session,
                     bool keep_images_without_objects = true);

// Up to `most` of the lines as warnings, and how many more there are.
void warn_of(const std::vector<std::string>& problems, Session& session, size_t most = 10);

// A command's closing line, where there were any: the data set's own and those found since.
void warn_of_passed_over(int64_t pictures, Session& session);

}  // namespace bbam
