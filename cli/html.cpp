#include "cli/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace bbam {

std::string html_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string base64(std::string_view bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](size_t k) { return k < bytes.size() ? uint32_t(uint8_t(bytes[k])) : 0u; };
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string data_uri(const Image& image, int jpeg_quality) {
  return "data:image/jpeg;base64," + base64(encode_jpeg(image, jpeg_quality));
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

namespace {

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// The points that can be drawn, y already on its scale (log10 where asked for).
std::vector<Series> drawable(const std::vector<Series>& all, bool log_y) {
  std::vector<Series> kept;
  for (const Series& series : all) {
    Series clean{series.name, {}, {}, series.faint};
    for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      const double y = log_y ? std::log10(series.y[i]) : series.y[i];
      if (!std::isfinite(series.x[i]) || !std::isfinite(y)) continue;
      clean.x.push_back(series.x[i]);
      clean.y.push_back(y);
    }
    if (clean.x.size() >= 2) kept.push_back(clean);
  }
  return kept;
}

std::string tick_text(double value) { return fmt::format("{:.4g}", value == 0 ? 0 : value); }

// From values to the plot's pixels.
struct Frame {
  Range x, y;
  double left = 54, top = 14, right, bottom;

  double px(double value) const {
    return left + (right - left) * (value - x.low) / std::max(x.high - x.low, 1e-300);
  }
  double py(double value) const {
    return bottom - (bottom - top) * (value - y.low) / std::max(y.high - y.low, 1e-300);
  }
};

std::vector<double> y_ticks(const Frame& frame, bool log_y) {
  if (!log_y) return round_ticks(frame.y.low, frame.y.high, 5);
  std::vector<double> ticks;
  for (double power = std::floor(frame.y.low); power <= frame.y.high; ++power)
    for (const double lead : {1.0, 2.0, 5.0}) {
      const double tick = power + std::log10(lead);
      if (tick >= frame.y.low - 1e-9 && tick <= frame.y.high + 1e-9) ticks.push_back(tick);
    }
  return ticks;
}

std::string axes(const Frame& frame, const ChartOptions& options) {
  std::string svg;
  for (const double y : y_ticks(frame, options.log_y))
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        frame.left, frame.right, frame.py(y), frame.py(y), frame.left - 8, frame.py(y) + 4,
        tick_text(options.log_y ? std::pow(10, y) : y));
  for (const double x : round_ticks(frame.x.low, frame.x.high, 6))
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                       frame.px(x), frame.bottom + 19, tick_text(x));
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" class=\"axis\">{}</text>",
                     frame.right, frame.bottom + 40, html_escape(options.x_label));
  return svg;
}

std::string polyline(const Series& series, const Frame& frame, size_t color) {
  std::string points;
  for (size_t i = 0; i < series.x.size(); ++i)
    points += fmt::format("{:.1f},{:.1f} ", frame.px(series.x[i]), frame.py(series.y[i]));
  points.pop_back();
  return fmt::format("<polyline class=\"s{}{}\" points=\"{}\"/>", color,
                     series.faint ? " faint" : "", points);
}

}  // namespace

std::string svg_chart(const std::vector<Series>& all, const ChartOptions& options) {
  const std::vector<Series> shown = drawable(all, options.log_y);
  if (shown.empty()) return "";
  Frame frame;
  for (const Series& series : shown)
    for (size_t i = 0; i < series.x.size(); ++i) {
      frame.x.include(series.x[i]);
      frame.y.include(series.y[i]);
    }
  const double margin = std::max(0.04 * (frame.y.high - frame.y.low), 1e-9);
  frame.y.include(frame.y.high + margin);
  frame.y.include(!options.log_y && frame.y.low >= 0 ? 0 : frame.y.low - margin);
  frame.right = options.width - 18;
  frame.bottom = options.height - 50;

  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} over {}\">",
      options.width, options.height, html_escape(options.y_label), html_escape(options.x_label));
  svg += axes(frame, options);
  std::string legend;
  size_t color = 0;
  for (const Series& series : shown) {
    svg += polyline(series, frame, color);
    if (series.faint) continue;  // the line that follows is the same quantity, smoothed
    legend += fmt::format("<span class=\"s{}\">{}</span>", color, html_escape(series.name));
    ++color;
  }
  svg += "</svg>";
  return fmt::format("<figure class=\"plot\"><figcaption><b>{}</b>{}</figcaption>{}</figure>",
                     html_escape(options.y_label), legend, svg);
}

}  // namespace bbam
