#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tensor/profile.h"

namespace bbam {

std::string format_duration(double seconds) {
  const auto s = int64_t(std::llround(std::max(seconds, 0.0)));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

Progress::Progress(std::ostream& out, bool terminal, std::string what, int64_t total, int64_t done)
    : out_(out), terminal_(terminal), what_(std::move(what)), total_(total), before_(done),
      start_s_(profile::now_s()) {}

Progress::~Progress() {
  if (line_open_) out_ << '\n' << std::flush;
}

std::string Progress::text(int64_t done, double elapsed_s, const std::string& note) const {
  const double share = total_ > 0 ? double(done) / double(total_) : 1;
  std::string line = fmt::format("{} {}/{} ({:.0f} %)", what_, done, total_, 100 * share);
  if (done < total_ && done > before_) {
    const double left_s = elapsed_s * double(total_ - done) / double(done - before_);
    line += ", " + format_duration(left_s) + " left";
  } else if (done >= total_) {
    line += " in " + format_duration(elapsed_s);
  }
  return note.empty() ? line : line + "  " + note;
}

void Progress::update(int64_t done, const std::string& note) {
  const double now_s = profile::now_s(), elapsed_s = now_s - start_s_;
  double interval_s = 0.1;
  if (!terminal_) {
    const double whole_s = elapsed_s * double(total_) / double(std::max<int64_t>(done, 1));
    interval_s = std::max(10.0, 0.05 * whole_s);
  }
  if (done < total_ && now_s - last_s_ < interval_s) return;
  last_s_ = now_s;
  const std::string line = text(done, elapsed_s, note);
  if (!terminal_) {
    out_ << line << '\n' << std::flush;
    return;
  }
  // Spaces wipe what a longer line before left behind.
  out_ << '\r' << line << std::string(width_ > line.size() ? width_ - line.size() : 0, ' ')
       << std::flush;
  width_ = line.size();
  line_open_ = true;
}

void Progress::say(const std::string& line) {
  if (line_open_) out_ << '\r' << std::string(width_, ' ') << '\r';
  line_open_ = false;
  width_ = 0;
  out_ << line << '\n' << std::flush;
}

}  // namespace bbam
