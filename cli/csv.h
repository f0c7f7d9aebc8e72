// Tables of numbers as text: training logs and curves.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

namespace bbam {

struct NumberTable {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;

  // Throws Error when there is no such column.
  std::vector<double> column(const std::string& name) const;
  bool has(const std::string& name) const;
};

// A line of names, then lines of as many numbers; throws Error naming the file and line.
NumberTable read_csv(const std::string& path);
// Nine significant digits: floats survive.
std::string csv_row(const std::vector<double>& row);
void write_csv(const std::string& path, const NumberTable& table);

// A table that grows while work goes on; each row reaches the file at once.
class CsvLog {
 public:
  // Keeps the rows of an existing file whose first number is at most `last_kept` (a resumed run)
  // and drops the others; starts anew where there is no file.
  CsvLog(const std::string& path, const std::vector<std::string>& columns, double last_kept);
  ~CsvLog();
  CsvLog(const CsvLog&) = delete;
  CsvLog& operator=(const CsvLog&) = delete;
  void add(const std::vector<double>& row);

 private:
  std::string path_;
  std::FILE* file_;
};

}  // namespace bbam
