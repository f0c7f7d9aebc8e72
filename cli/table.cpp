#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tensor/check.h"

namespace bbam {

void Table::add(std::vector<std::string> cells) {
  check(cells.size() == rows_[0].size(), "table: ", cells.size(), " cells; expected ",
        rows_[0].size());
  rows_.push_back(std::move(cells));
}

void Table::add_rule() { rows_.emplace_back(); }

nlohmann::json Table::json(const std::string& title) const {
  nlohmann::json rows = nlohmann::json::array();
  for (size_t i = 1; i < rows_.size(); ++i)
    if (!rows_[i].empty()) rows.push_back(rows_[i]);
  return {{"title", title}, {"columns", rows_[0]}, {"rows", rows}};
}

std::ostream& operator<<(std::ostream& out, const Table& table) {
  std::vector<size_t> widths(table.rows_[0].size());
  for (const auto& row : table.rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  size_t whole = 2 * (widths.size() - 1);
  for (const size_t width : widths) whole += width;
  for (const auto& row : table.rows_) {
    std::string line = row.empty() ? std::string(whole, '-') : "";
    for (size_t i = 0; i < row.size(); ++i)
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                     : fmt::format("  {:>{}}", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
    if (&row == &table.rows_[0]) out << std::string(whole, '-') << '\n';
  }
  return out;
}

std::string percent(double share) { return share < 0 ? "-" : fmt::format("{:.1f}", 100 * share); }
std::string fixed(double value, int digits) { return fmt::format("{:.{}f}", value, digits); }

}  // namespace bbam
