// Plots of a run's figures, on the report page and as files of their own.
#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bbam {

struct Series {
  std::string name = "";
  std::vector<double> x = {}, y = {};  // bars have no x: one y for each category
  bool faint = false;  // the raw numbers behind a smoothed line, without a legend entry
};

struct PlotRange {
  double low, high;
};

enum class PlotKind {
  kLines,   // with a marker at each point where there are few
  kPoints,  // markers alone
  kBars,    // for each category one bar of each series
  kHeat,    // a grid of values in colours, relative to the highest
};

struct Plot {
  PlotKind kind = PlotKind::kLines;
  std::string title = "", x_label = "", y_label = "";
  std::vector<Series> series = {};
  std::vector<std::string> categories = {};  // bars: their names, along x
  bool log_x = false, log_y = false;         // lines and points; what is not positive is left out
  std::optional<PlotRange> x_range = {},
                           y_range = {};  // what the axes show; as the values need if not given
  // Heat: rows x columns, row 0 on top as in a picture, so that y points down. The grid spans
  // x_range and y_range, which are then needed.
  std::vector<std::vector<double>> values = {};
  std::optional<double> circle = {};  // heat: the radius of a circle around (0, 0)
};

struct PlotSize {
  int width = 560, height = 290;
};

// As kept under results.plots of a run.json:
//   {"kind": "lines|points|bars|heat", "title", "x_label", "y_label", "log_x", "log_y",
//    "x_range": [low, high], "y_range", "series": [{"name", "x": [...], "y": [...], "faint"}],
//    "categories": [...], "values": [[...], ...], "circle"}
// What is empty or not set is left out; a value that is not finite is null.
nlohmann::json to_json(const Plot& plot);
// Throws Error saying what is wrong, as check_plot does.
Plot plot_of(const nlohmann::json& value);

// Throws Error where bars do not fit their categories, or a grid has rows of several lengths or no
// ranges.
void check_plot(const Plot& plot);

// A figure for a page: title, legend and an inline SVG, whose colours and fonts come from the
// page's style (classes chart, grid, axis, mark, bar, heat, s0, s1, ...). Without a value to show
// it is "". Throws Error where bars or a grid do not fit their categories or ranges.
std::string svg_of(const Plot& plot, PlotSize size = {});
// A document of its own on white ground. Throws Error where there is nothing to show.
void write_svg(const std::string& path, const Plot& plot, PlotSize size = {});

// The classes s0, s1, ... on light ground; a plot of more series begins anew.
inline constexpr std::array<const char*, 8> kSeriesColors{
    "#6d28b8", "#d1356b", "#e07a12", "#0e8a8a", "#4267d6", "#7a8b1c", "#8a5a3c", "#5b6170"};

}  // namespace bbam
