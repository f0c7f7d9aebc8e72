#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/plot.h"
#include "tensor/check.h"

namespace bbam {
namespace {

using nlohmann::json;

// By PlotKind.
constexpr const char* kKinds[] = {"lines", "points", "bars", "heat"};

json list_json(const std::vector<double>& values) {
  json list = json::array();
  for (const double value : values) list.push_back(std::isfinite(value) ? json(value) : json());
  return list;
}

std::vector<double> list_of(const json& list) {
  std::vector<double> values;
  for (const json& value : list)
    values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                     : value.get<double>());
  return values;
}

PlotKind kind_of(const std::string& name) {
  for (size_t i = 0; i < std::size(kKinds); ++i)
    if (name == kKinds[i]) return PlotKind(i);
  fail("a plot of kind '", name, "'; expected lines, points, bars or heat");
}

std::optional<PlotRange> range_of(const json& value, const char* name) {
  if (!value.contains(name)) return {};
  const json& range = value.at(name);
  check(range.size() == 2, "the plot's ", name, " has ", range.size(), " numbers; expected 2");
  return PlotRange{range.at(0), range.at(1)};
}

Plot read(const json& value) {
  Plot plot;
  plot.kind = kind_of(value.value("kind", kKinds[0]));
  plot.title = value.value("title", "");
  plot.x_label = value.value("x_label", "");
  plot.y_label = value.value("y_label", "");
  plot.log_x = value.value("log_x", false);
  plot.log_y = value.value("log_y", false);
  plot.x_range = range_of(value, "x_range");
  plot.y_range = range_of(value, "y_range");
  for (const json& series : value.value("series", json::array()))
    plot.series.push_back({series.value("name", ""), list_of(series.value("x", json::array())),
                           list_of(series.at("y")), series.value("faint", false)});
  plot.categories = value.value("categories", std::vector<std::string>{});
  for (const json& row : value.value("values", json::array())) plot.values.push_back(list_of(row));
  if (value.contains("circle")) plot.circle = value.at("circle").get<double>();
  return plot;
}

}  // namespace

json to_json(const Plot& plot) {
  json value = {{"kind", kKinds[size_t(plot.kind)]}, {"title", plot.title}};
  if (!plot.x_label.empty()) value["x_label"] = plot.x_label;
  if (!plot.y_label.empty()) value["y_label"] = plot.y_label;
  if (plot.log_x) value["log_x"] = true;
  if (plot.log_y) value["log_y"] = true;
  if (plot.x_range) value["x_range"] = {plot.x_range->low, plot.x_range->high};
  if (plot.y_range) value["y_range"] = {plot.y_range->low, plot.y_range->high};
  for (const Series& series : plot.series) {
    json entry = {{"name", series.name}, {"y", list_json(series.y)}};
    if (!series.x.empty()) entry["x"] = list_json(series.x);
    if (series.faint) entry["faint"] = true;
    value["series"].push_back(entry);
  }
  if (!plot.categories.empty()) value["categories"] = plot.categories;
  for (const auto& row : plot.values) value["values"].push_back(list_json(row));
  if (plot.circle) value["circle"] = *plot.circle;
  return value;
}

Plot plot_of(const json& value) {
  check(value.is_object(), "a plot is no JSON object");
  try {
    const Plot plot = read(value);
    check_plot(plot);
    return plot;
  } catch (const json::exception& error) {
    fail("the plot '", value.value("title", json("")).dump(), "': ", error.what());
  }
}

}  // namespace bbam
