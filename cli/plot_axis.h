// One axis of a plot: from values to pixels, and its ticks.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace bbam {

struct Axis {
  bool log = false;
  double low = std::numeric_limits<double>::infinity(), high = -low;  // none yet
  double from_px = 0, to_px = 1;                                      // where low and high lie

  bool empty() const { return !(low <= high); }
  // Finite, and positive on a logarithmic axis.
  bool can_show(double value) const;
  void include(double value);
  // Leaves that share of the span free on both ends; on the lower one 0 is included instead where
  // it is near and nothing lies below.
  void add_margin(double share, bool zero_where_near);
  double px(double value) const;
  // About `count` of them.
  std::vector<double> ticks(int count) const;
};

// About `count` round numbers (1, 2 or 5 times a power of ten) that span low to high.
std::vector<double> round_ticks(double low, double high, int count);
// Four digits at most.
std::string tick_text(double value);

}  // namespace bbam
