#include "cli/plot_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bbam {
namespace {

double scaled(double value, bool log) { return log ? std::log10(value) : value; }
double unscaled(double value, bool log) { return log ? std::pow(10, value) : value; }

// 1, 2 and 5 times powers of ten, or the powers alone where they are many.
std::vector<double> log_ticks(double low, double high) {
  const bool wide = std::log10(high / low) > 3;
  std::vector<double> ticks;
  for (double power = std::floor(std::log10(low)); power <= std::log10(high) + 1e-9; ++power)
    for (const double lead : {1.0, 2.0, 5.0}) {
      const double tick = lead * std::pow(10, power);
      const bool inside = tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
      if (inside && (lead == 1 || !wide)) ticks.push_back(tick);
    }
  return ticks;
}

}  // namespace

bool Axis::can_show(double value) const { return std::isfinite(value) && (!log || value > 0); }

void Axis::include(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

void Axis::add_margin(double share, bool zero_where_near) {
  const double a = scaled(low, log), b = scaled(high, log);
  const double margin = b > a ? share * (b - a) : std::max(share * std::abs(b), 1e-9);
  const bool to_zero = zero_where_near && !log && low >= 0 && low <= 0.5 * high;
  high = unscaled(b + margin, log);
  low = to_zero ? 0 : unscaled(a - margin, log);
}

double Axis::px(double value) const {
  const double a = scaled(low, log), b = scaled(high, log);
  return from_px + (to_px - from_px) * (scaled(value, log) - a) / std::max(b - a, 1e-300);
}

std::vector<double> Axis::ticks(int count) const {
  if (!log) return round_ticks(low, high, count);
  const std::vector<double> ticks = log_ticks(low, high);
  return ticks.size() >= 2 ? ticks : round_ticks(low, high, count);
}

std::vector<double> round_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  if (!(rough > 0) || !std::isfinite(rough)) return {low};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;
  const double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
    ticks.push_back(k * step);
  return ticks;
}

std::string tick_text(double value) { return fmt::format("{:.4g}", value == 0 ? 0 : value); }

}  // namespace bbam
