// Says how far long work is and when it will be done: one line, rewritten, on a terminal; plain
// lines at growing intervals in a log.
#pragma once
#include <cstdint>
#include <ostream>
#include <string>

namespace bbam {

class Progress {
 public:
  // `total` steps of which `done` were done before (a resumed run; they do not enter the ETA).
  Progress(std::ostream& out, bool terminal, std::string what, int64_t total, int64_t done = 0);
  ~Progress();  // ends the line on a terminal
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `note` follows the numbers (losses, a file's name). Prints at most ten times a second on a
  // terminal; in a log the first and last step and then each time that 10 s, or 5 % of the time
  // that the whole will take, have passed.
  void update(int64_t done, const std::string& note = "");
  // A line of its own, which stays: a warning among the progress.
  void say(const std::string& line);

 private:
  std::string text(int64_t done, double elapsed_s, const std::string& note) const;

  std::ostream& out_;
  bool terminal_, line_open_ = false;
  std::string what_;
  int64_t total_, before_;
  double start_s_, last_s_ = -1e9;
  size_t width_ = 0;
};

// "8 s", "3 min 05 s", "2 h 14 min".
std::string format_duration(double seconds);

}  // namespace bbam
