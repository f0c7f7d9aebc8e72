// The figures of a bbam pseudo-label run: as tables and for run.json.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <vector>

#include "cli/instances_json.h"
#include "cli/label_store.h"
#include "cli/label_tasks.h"

namespace bbam {

struct LabelRun {
  const Dataset& dataset;
  const std::vector<LabelTask>& tasks;
  std::vector<LabelledImage> images;  // finished or passed over, in the order of the tasks
};

// For write_annotations: the records of `images`, and their masks.
Dataset labelled_records(const LabelRun& run);
std::vector<Instance> labelled_instances(const LabelRun& run);

// Per class and of all: objects, positives, fallbacks, and, where the data set has masks, the mean
// IoU of the filled box and of the label's foreground; then seconds per stage, of the solver per
// map, of the rest per object. `results` receives the same for run.json and the report.
void summarise(const LabelRun& run, std::ostream& out, nlohmann::json& results);

}  // namespace bbam
