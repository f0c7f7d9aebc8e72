#include "cli/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/draw.h"
#include "cli/html.h"
#include "cli/plot_axis.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

constexpr double kLeft = 54, kRight = 18, kTop = 14, kBottom = 50, kLine = 16;
constexpr double kLetter = 6.4;  // mean width of a letter of 12 px

// A plot laid out: what can be shown of it, and where.
struct Layout {
  const Plot& plot;
  std::vector<Series> series;  // those with a value to show
  Axis x, y;
  double width, height;
  bool slanted = false;  // names of categories that do not fit beside each other
};

size_t color_of(size_t index) { return index % kSeriesColors.size(); }

std::string text(double x, double y, const char* anchor, const std::string& content,
                 const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor,
                     more, html_escape(content));
}

// Values outside a range that was asked for are left out.
bool shown(const Axis& axis, const std::optional<PlotRange>& range, double value) {
  return axis.can_show(value) && (!range || (value >= range->low && value <= range->high));
}

void set_points(Layout& l) {
  for (const Series& series : l.plot.series) {
    Series kept{series.name, {}, {}, series.faint};
    for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!shown(l.x, l.plot.x_range, series.x[i]) || !shown(l.y, l.plot.y_range, series.y[i]))
        continue;
      kept.x.push_back(series.x[i]);
      kept.y.push_back(series.y[i]);
      l.x.include(series.x[i]);
      l.y.include(series.y[i]);
    }
    if (!kept.x.empty()) l.series.push_back(std::move(kept));
  }
  if (l.series.empty()) return;
  if (l.x.low == l.x.high || l.plot.kind == PlotKind::kPoints) l.x.add_margin(0.04, false);
  l.y.add_margin(0.04, true);
}

void set_bars(Layout& l) {
  const Plot& plot = l.plot;
  bool any = false;
  for (const Series& series : plot.series) {
    l.series.push_back(series);
    for (const double y : series.y)
      if (std::isfinite(y)) l.y.include(y), any = true;
  }
  if (!any) return l.series.clear();
  l.x.low = 0, l.x.high = double(plot.categories.size());
  // Room for the figure above the highest bar.
  const double top = l.y.high > 0 ? 1.1 * l.y.high : 0, bottom = l.y.low < 0 ? 1.1 * l.y.low : 0;
  l.y.low = bottom, l.y.high = top > bottom ? top : bottom + 1;
  size_t longest = 0;
  for (const std::string& name : plot.categories) longest = std::max(longest, name.size());
  const double place = (l.width - kLeft - kRight) / l.x.high;
  l.slanted = double(longest) * kLetter > place;
}

bool has_grid(const Plot& plot) { return !plot.values.empty() && !plot.values[0].empty(); }

// Axes in pixels.
Layout layout_of(const Plot& plot, PlotSize size) {
  check_plot(plot);
  Layout l{plot, {}, {}, {}, double(size.width), double(size.height)};
  l.x.log = plot.log_x, l.y.log = plot.log_y;
  switch (plot.kind) {
    case PlotKind::kBars: set_bars(l); break;
    case PlotKind::kHeat: break;
    default: set_points(l);
  }
  if (plot.x_range) l.x.low = plot.x_range->low, l.x.high = plot.x_range->high;
  if (plot.y_range) l.y.low = plot.y_range->low, l.y.high = plot.y_range->high;
  const double top = kTop + (plot.y_label.empty() ? 0 : kLine), slant = l.slanted ? 34 : 0;
  l.x.from_px = kLeft, l.x.to_px = l.width - kRight;
  l.y.from_px = l.height - kBottom - slant, l.y.to_px = top;
  if (plot.kind == PlotKind::kHeat && !l.x.empty() && !l.y.empty()) {
    // Both axes to one scale, as large as fits beside the scale of colours.
    const double x_span = std::max(l.x.high - l.x.low, 1e-300), y_span = l.y.high - l.y.low;
    const double room = l.width - kLeft - kRight - 50, tall = l.height - 30;
    const double px = std::min(room / x_span, tall / std::max(y_span, 1e-300));
    l.x.from_px = kLeft + (room - px * x_span) / 2;
    l.x.to_px = l.x.from_px + px * x_span;
    l.y.from_px = top;
    l.y.to_px = top + px * y_span;
    l.height = l.y.to_px + kBottom;
  }
  return l;
}

std::string axes(const Layout& l) {
  std::string svg;
  const double bottom = std::max(l.y.from_px, l.y.to_px);
  for (const double y : l.y.ticks(5)) {
    const double at = l.y.px(y);
    if (l.plot.kind != PlotKind::kHeat)
      svg += fmt::format(
          "<line class=\"grid{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
          y == 0 ? " zero" : "", l.x.from_px, l.x.to_px, at, at);
    svg += text(l.x.from_px - 8, at + 4, "end", tick_text(y));
  }
  if (l.plot.kind != PlotKind::kBars)
    for (const double x : l.x.ticks(6)) svg += text(l.x.px(x), bottom + 19, "middle", tick_text(x));
  for (size_t i = 0; i < l.plot.categories.size(); ++i) {
    const double x = l.x.px(double(i) + 0.5), y = bottom + 17;
    const std::string turn =
        fmt::format(" class=\"slanted\" transform=\"rotate(-35 {:.1f} {:.1f})\"", x, y);
    svg += text(x, y, l.slanted ? "end" : "middle", l.plot.categories[i], l.slanted ? turn : "");
  }
  if (!l.plot.x_label.empty())
    svg += text(l.x.to_px, l.height - 8, "end", l.plot.x_label, " class=\"axis\"");
  if (!l.plot.y_label.empty())
    svg += text(l.x.from_px - 46, kTop, "start", l.plot.y_label, " class=\"axis\"");
  return svg;
}

std::string points(const Layout& l) {
  constexpr size_t kFew = 24;
  std::string svg;
  size_t color = 0;
  for (const Series& series : l.series) {
    const std::string name = fmt::format("s{}{}", color_of(color), series.faint ? " faint" : "");
    std::string path, marks;
    for (size_t i = 0; i < series.x.size(); ++i) {
      const double x = l.x.px(series.x[i]), y = l.y.px(series.y[i]);
      path += fmt::format("{}{:.1f},{:.1f}", i == 0 ? "" : " ", x, y);
      marks += fmt::format("<circle class=\"mark {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\"/>",
                           name, x, y);
    }
    if (l.plot.kind == PlotKind::kLines && series.x.size() > 1)
      svg += fmt::format("<polyline class=\"{}\" points=\"{}\"/>", name, path);
    if (l.plot.kind == PlotKind::kPoints || (series.x.size() <= kFew && !series.faint))
      svg += marks;
    if (!series.faint) ++color;  // the line that follows is the same quantity, smoothed
  }
  return svg;
}

std::string bars(const Layout& l) {
  const double place = l.x.px(1) - l.x.px(0), base = l.y.px(std::clamp(0.0, l.y.low, l.y.high));
  const double wide = std::min(0.8 * place / double(l.series.size()), 46.0);
  const bool room_for_figures = wide >= 26;
  const double most = std::max(std::abs(l.y.low), std::abs(l.y.high));
  const int digits = most >= 100 ? 0 : most >= 10 ? 1 : 2;
  std::string svg;
  for (size_t s = 0; s < l.series.size(); ++s)
    for (size_t c = 0; c < l.series[s].y.size(); ++c) {
      const double value = l.series[s].y[c];
      if (!std::isfinite(value)) continue;
      const double end = l.y.px(std::clamp(value, l.y.low, l.y.high));
      const double left =
          l.x.px(double(c) + 0.5) + wide * (double(s) - double(l.series.size()) / 2);
      svg += fmt::format(
          "<rect class=\"bar s{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
          color_of(s), left + 1, std::min(base, end), std::max(wide - 2, 1.0),
          std::abs(end - base));
      if (room_for_figures)
        svg += text(left + wide / 2, end <= base ? end - 5 : end + 13, "middle",
                    fmt::format("{:.{}f}", value, digits), " class=\"figure\"");
    }
  return svg;
}

std::string heat_rect(double x, double y, double width, double height, double value) {
  const Color c = heat_color(value);
  return fmt::format(
      "<rect class=\"heat\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
      "fill=\"#{:02x}{:02x}{:02x}\"/>",
      x, y, width, height, c[0], c[1], c[2]);
}

// Cells of one colour beside each other are one rectangle.
std::string cells(const Layout& l, double most) {
  constexpr double kShades = 100;
  const auto& values = l.plot.values;
  const double wide = (l.x.to_px - l.x.from_px) / double(values[0].size());
  const double high = (l.y.to_px - l.y.from_px) / double(values.size());
  const auto shade = [&](double value) {
    return std::isfinite(value) && most > 0 ? std::round(kShades * std::max(value / most, 0.0)) : 0;
  };
  std::string svg;
  for (size_t row = 0; row < values.size(); ++row)
    for (size_t begin = 0, end; begin < values[row].size(); begin = end) {
      const double same = shade(values[row][begin]);
      for (end = begin + 1; end < values[row].size() && shade(values[row][end]) == same;) ++end;
      svg += heat_rect(l.x.from_px + double(begin) * wide, l.y.from_px + double(row) * high,
                       double(end - begin) * wide, high, same / kShades);
    }
  return svg;
}

std::string heat(const Layout& l) {
  double most = 0;
  for (const auto& row : l.plot.values)
    for (const double value : row)
      if (std::isfinite(value)) most = std::max(most, value);
  std::string svg = cells(l, most);
  if (l.plot.circle)
    svg += fmt::format(
        "<ellipse class=\"outline\" cx=\"{:.1f}\" cy=\"{:.1f}\" rx=\"{:.1f}\" ry=\"{:.1f}\"/>",
        l.x.px(0), l.y.px(0), std::abs(l.x.px(*l.plot.circle) - l.x.px(0)),
        std::abs(l.y.px(*l.plot.circle) - l.y.px(0)));
  // The scale of colours.
  constexpr int kSteps = 32;
  const double high = (l.y.to_px - l.y.from_px) / kSteps, left = l.x.to_px + 12;
  for (int i = 0; i < kSteps; ++i)
    svg += heat_rect(left, l.y.to_px - (i + 1) * high, 10, high, (i + 0.5) / kSteps);
  svg += text(left + 14, l.y.to_px, "start", "0");
  return svg + text(left + 14, l.y.from_px + 9, "start", fmt::format("{:.2g}", most));
}

bool nothing_in(const Layout& l) {
  return l.plot.kind == PlotKind::kHeat ? !has_grid(l.plot) : l.series.empty();
}

std::string drawing(const Layout& l) {
  switch (l.plot.kind) {
    case PlotKind::kBars: return axes(l) + bars(l);
    case PlotKind::kHeat: return axes(l) + heat(l);
    default: return axes(l) + points(l);
  }
}

// Name and colour of each series that has a name, where there is more than one to tell apart.
std::vector<std::pair<std::string, size_t>> legend_of(const Layout& l) {
  std::vector<std::pair<std::string, size_t>> legend;
  size_t color = 0;
  for (const Series& series : l.series) {
    if (series.faint) continue;
    if (!series.name.empty()) legend.emplace_back(series.name, color_of(color));
    ++color;
  }
  return color > 1 ? legend : decltype(legend){};
}

std::string stand_alone_style() {
  std::string css =
      "text{font:12px \"Helvetica Neue\",Arial,\"DejaVu Sans\",sans-serif;fill:#555}"
      ".title{font-size:15px;font-weight:bold;fill:#111}.legend{fill:#222}"
      ".grid{stroke:#ddd;stroke-width:1}.zero{stroke:#999}"
      "polyline{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}"
      ".faint{opacity:.25}.mark,.bar{fill:currentColor}.figure{font-size:10.5px;fill:#333}"
      ".heat{shape-rendering:crispEdges}"
      ".outline{fill:none;stroke:#fff;stroke-width:1.5;stroke-dasharray:5 4}";
  for (size_t i = 0; i < kSeriesColors.size(); ++i)
    css += fmt::format(".s{}{{color:{}}}", i, kSeriesColors[i]);
  return css;
}

}  // namespace

void check_plot(const Plot& plot) {
  if (plot.kind == PlotKind::kBars)
    for (const Series& series : plot.series)
      check(series.y.size() == plot.categories.size(), "the plot '", plot.title, "' has ",
            series.y.size(), " bars named '", series.name, "' for ", plot.categories.size(),
            " categories");
  if (plot.kind != PlotKind::kHeat || !has_grid(plot)) return;
  check(plot.x_range && plot.y_range, "the plot '", plot.title,
        "' is a grid without x_range and y_range");
  for (const auto& row : plot.values)
    check(row.size() == plot.values[0].size(), "the plot '", plot.title, "' has rows of ",
          row.size(), " and of ", plot.values[0].size(), " values");
}

std::string svg_of(const Plot& plot, PlotSize size) {
  const Layout l = layout_of(plot, size);
  if (nothing_in(l)) return "";
  std::string legend;
  for (const auto& [name, color] : legend_of(l))
    legend += fmt::format("<i class=\"s{}\">{}</i>", color, html_escape(name));
  return fmt::format(
      "<figure class=\"plot\"><figcaption><b>{}</b><span>{}</span></figcaption>"
      "<svg class=\"chart\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">{}</svg>"
      "</figure>",
      html_escape(plot.title), legend, l.width, l.height, html_escape(plot.title), drawing(l));
}

void write_svg(const std::string& path, const Plot& plot, PlotSize size) {
  const Layout l = layout_of(plot, size);
  check(!nothing_in(l), path, ": the plot '", plot.title, "' has nothing to show");
  std::string head = text(8, 24, "start", plot.title, " class=\"title\"");
  double x = 8, y = 46;
  const auto legend = legend_of(l);
  for (const auto& [name, color] : legend) {
    const double wide = 20 + kLetter * double(name.size());
    if (x > 8 && x + wide > l.width - 8) x = 8, y += 18;
    head += fmt::format(
        "<rect class=\"bar s{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" "
        "height=\"4\"/>",
        color, x, y - 6);
    head += text(x + 20, y, "start", name, " class=\"legend\"");
    x += wide + 18;
  }
  const double top = legend.empty() ? 34 : y + 8;
  write_file(path,
             fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" "
                         "height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\"><style>{2}</style>"
                         "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{3}"
                         "<g transform=\"translate(0 {4:.0f})\">{5}</g></svg>\n",
                         l.width, l.height + top, stand_alone_style(), head, top, drawing(l)));
}

}  // namespace bbam
