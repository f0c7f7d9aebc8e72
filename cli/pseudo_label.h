// Pseudo ground truth for the boxes of a data set, as a function: `bbam pseudo-label` and the demo
// call it.
#pragma once
#include <string>

#include "cli/data_options.h"
#include "cli/explain.h"
#include "cli/run_record.h"

namespace bbam {

struct PseudoLabelCommandOptions {
  DetectorChoice detector;
  ExplainSwitches switches;
  std::string out;
  std::string reuse_maps;  // folder of an earlier run; "" solves
  std::string shard = "1/1";
  int64_t objects = 0;  // 0: all
  uint64_t objects_seed = 0;
  int64_t examples = 0;
};

// Writes what cli/label_store.h describes; once all images are done, also OUT/labels.json, a COCO
// file with the masks; OUT/objects/ (cli/example.h) and the figures into record.results(). Goes on
// where it was stopped. Throws Interrupted on Ctrl-C.
void make_pseudo_labels(const Dataset& dataset, const PseudoLabelCommandOptions& options,
                        const ExplainOptions& explain, Session& session, RunRecord& record);

}  // namespace bbam
