// Ours above the paper's: a table of the figures that segmenters reach.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/table.h"

namespace bbam {

class Comparison {
 public:
  // `columns`: AP, AP25, ..., AP_small, ..., ABO of instances, mIoU of classes.
  Comparison(const std::string& what, const std::vector<std::string>& columns);

  // A row of what bbam segment says in its run.json's results. Returns the figures by column,
  // shares of 1; -1 where there was nothing to measure.
  std::map<std::string, double> ours(const std::string& name, const nlohmann::json& results);
  // As printed there, one for each column. Below all of ours.
  void paper(const std::string& name, const std::vector<std::string>& figures);
  const Table& table() const { return table_; }

 private:
  std::vector<std::string> columns_;
  Table table_;
  bool has_paper_ = false;
};

}  // namespace bbam
