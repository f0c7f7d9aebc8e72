#include "cli/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream text(line);
  for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
  return cells;
}

std::string header(const std::vector<std::string>& columns) {
  return fmt::format("{}\n", fmt::join(columns, ","));
}

}  // namespace

bool NumberTable::has(const std::string& name) const {
  return std::find(columns.begin(), columns.end(), name) != columns.end();
}

std::vector<double> NumberTable::column(const std::string& name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  check(found != columns.end(), "table: there is no column ", name);
  std::vector<double> values;
  for (const auto& row : rows) values.push_back(row[size_t(found - columns.begin())]);
  return values;
}

NumberTable read_csv(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::string line;
  check(bool(std::getline(lines, line)) && !line.empty(), path, ": is empty");
  NumberTable table{split(line), {}};
  for (int number = 2; std::getline(lines, line); ++number) {
    std::vector<double> row;
    for (const std::string& cell : split(line)) {
      char* end;
      row.push_back(std::strtod(cell.c_str(), &end));
      check(end != cell.c_str() && *end == 0, path, ":", number, ": '", cell, "' is no number");
    }
    check(row.size() == table.columns.size(), path, ":", number, ": ", row.size(),
          " numbers; expected ", table.columns.size());
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string csv_row(const std::vector<double>& row) {
  std::string text;
  for (const double value : row) text += fmt::format("{}{:.9g}", text.empty() ? "" : ",", value);
  return text + "\n";
}

void write_csv(const std::string& path, const NumberTable& table) {
  std::string text = header(table.columns);
  for (const auto& row : table.rows) text += csv_row(row);
  write_file(path, text);
}

CsvLog::CsvLog(const std::string& path, const std::vector<std::string>& columns, double last_kept)
    : path_(path) {
  NumberTable table{columns, {}};
  if (last_kept > 0 && std::filesystem::exists(path)) {
    const NumberTable before = read_csv(path);
    check(before.columns == columns, path, ": has other columns than this run; expected ",
          header(columns));
    for (const auto& row : before.rows)
      if (row[0] <= last_kept) table.rows.push_back(row);
  }
  write_csv(path, table);
  file_ = std::fopen(path.c_str(), "ab");
  check(file_ != nullptr, path, ": cannot be written: ", std::strerror(errno));
}

CsvLog::~CsvLog() { std::fclose(file_); }

void CsvLog::add(const std::vector<double>& row) {
  const std::string text = csv_row(row);
  const bool written =
      std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0;
  check(written, path_, ": could not be written: ", std::strerror(errno));
}

}  // namespace bbam
