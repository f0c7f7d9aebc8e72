#include "cli/comparison.h"

#include <nlohmann/json.hpp>

namespace bbam {
namespace {

using nlohmann::json;

double figure_of(const json& results, const std::string& column) {
  const json& value = column == "mIoU"  ? results.at("semantic").at("mean_iou")
                      : column == "ABO" ? results.at("instances").at("abo")
                                        : results.at("instances").at("coco").at(column);
  return value.is_null() ? -1 : value.get<double>();
}

std::vector<std::string> after(std::vector<std::string> first,
                               const std::vector<std::string>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

}  // namespace

Comparison::Comparison(const std::string& what, const std::vector<std::string>& columns)
    : columns_(columns), table_(after({"", what}, columns)) {}

std::map<std::string, double> Comparison::ours(const std::string& name, const json& results) {
  std::map<std::string, double> figures;
  std::vector<std::string> cells;
  for (const std::string& column : columns_) {
    figures[column] = figure_of(results, column);
    cells.push_back(percent(figures[column]));
  }
  table_.add(after({"ours", name}, cells));
  return figures;
}

void Comparison::paper(const std::string& name, const std::vector<std::string>& figures) {
  if (!has_paper_) table_.add_rule();
  has_paper_ = true;
  table_.add(after({"paper", name}, figures));
}

}  // namespace bbam
