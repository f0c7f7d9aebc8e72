// The page that shows a run: one HTML file that needs nothing else, neither files nor a network.
//
// It is built from what the stages leave in a folder; whatever is missing is left out, with a note:
//   run.json             of the whole run; */run.json of its stages. Of `results`, the page shows
//                          tables:   [{title, columns: [...], rows: [[...], ...]}]
//                          headline: [{value, label}]
//                          plots:    [...], as cli/plot.h writes them
//                          pictures: [{file, title}], JPEG or PNG below the folder of that run.json
//                          results_of: [...], only in the whole run's: stages whose tables come
//                                    first, in this order; those of the others are folded away
//   log.csv, */log.csv   the training log: column step, and a column for each loss
//   objects/ID/, */objects/ID/     examples of objects (cli/example.h)
//   examples/ID/, */examples/ID/   examples of segmenters (cli/seen_example.h)
#pragma once
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/example.h"
#include "cli/plot.h"
#include "cli/seen_example.h"

namespace bbam {

struct ReportTable {
  std::string title, stage;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct ReportPlot {
  Plot plot;
  std::string stage;
};

struct ReportPicture {
  std::string title, stage;
  Image image;
};

struct ReportSeen {
  SeenExample example;
  std::string stage;
};

inline constexpr size_t kMostExamples = 24;  // that a page shows of objects

struct ReportData {
  std::string title = "From boxes to masks";
  std::vector<std::string> results_of;                        // stages; none: of all alike
  std::vector<std::pair<std::string, std::string>> headline;  // value, what it is
  std::vector<ReportTable> tables;
  std::vector<ReportPlot> plots;
  std::vector<ReportPicture> pictures;
  std::vector<std::pair<std::string, double>> seconds;    // per stage
  std::vector<std::pair<std::string, NumberTable>> logs;  // of training, by what was trained
  std::vector<Example> examples;                          // the first kMostExamples
  size_t examples_left_out = 0;
  std::vector<ReportSeen> seen;
  std::vector<std::pair<std::string, std::string>> facts;  // how it was made
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> problems;
};

// Throws Error when the folder is none, or holds nothing of the above.
ReportData read_report_data(const std::string& folder);
std::string report_page(const ReportData& data);
// Reads the folder and writes the page; returns what was wrong on the way.
std::vector<std::string> write_report(const std::string& folder, const std::string& page);

}  // namespace bbam
