// Aligned tables for the terminal: the first column to the left, the others to the right.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace bbam {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  // As many cells as the header has; throws Error otherwise.
  void add(std::vector<std::string> cells);
  void add_rule();
  // As the report page shows it: {title, columns, rows}.
  nlohmann::json json(const std::string& title) const;
  friend std::ostream& operator<<(std::ostream& out, const Table& table);

 private:
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

// 0.7341 as "73.4"; "-" for a value below 0, which stands for "nothing to measure".
std::string percent(double share);
std::string fixed(double value, int digits);

}  // namespace bbam
