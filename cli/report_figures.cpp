// The report on figures: tables, plots, curves of training, times, settings.
#include <fmt/format.h>

#include <algorithm>

#include "cli/html.h"
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/report_panels.h"
#include "cli/report_sections.h"

namespace bbam {
namespace {

constexpr size_t kMostCurves = 4;  // of trainings that are not folded away

std::string table_html(const ReportTable& table) {
  std::string html = "<div class=\"card\">";
  if (!table.title.empty()) html += "<h3>" + html_escape(table.title) + "</h3>";
  html += fmt::format(
      "<div class=\"scroll\"><table class=\"figures\" style=\"--columns:{}\"><thead><tr>",
      table.columns.size());
  for (const std::string& name : table.columns) html += "<th>" + html_escape(name) + "</th>";
  html += "</tr></thead><tbody>";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (const std::string& cell : row) html += "<td>" + html_escape(cell) + "</td>";
    html += "</tr>";
  }
  html += "</tbody></table></div>";
  return html + "</div>";
}

// Mean over the steps near each one, weighted by nearness from the left alone, as it came.
std::vector<double> smoothed(const std::vector<double>& values) {
  std::vector<double> result;
  const double keep = 1 - 1 / std::max(1.0, double(values.size()) / 40);
  double sum = 0, weight = 0;
  for (const double value : values) {
    sum = keep * sum + value;
    weight = keep * weight + 1;
    result.push_back(sum / weight);
  }
  return result;
}

std::string pairs_table(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html = "<div class=\"scroll\"><table class=\"wrap\"><tbody>";
  for (const auto& [name, value] : pairs)
    html += "<tr><td>" + html_escape(name) + "</td><td><code>" + html_escape(value) +
            "</code></td></tr>";
  return html + "</tbody></table></div>";
}

bool is_result(const ReportData& data, const std::string& stage) {
  const auto& stages = data.results_of;
  return stages.empty() || std::find(stages.begin(), stages.end(), stage) != stages.end();
}

std::string folded(const std::string& summary, const std::string& html) {
  return "<details><summary>" + summary + "</summary>" + html + "</details>";
}

std::string curves_card(const std::string& title, const NumberTable& log) {
  const std::vector<double> steps = log.column("step");
  std::vector<Series> total, parts;
  for (const std::string& name : log.columns) {
    if (name == "step" || name == "rate" || name == "seconds") continue;
    const std::vector<double> values = log.column(name);
    auto& chart = name == "total" ? total : parts;
    if (name == "total") chart.push_back({name, steps, values, true});
    chart.push_back({name, steps, smoothed(values)});
  }
  return "<div class=\"card\"><div class=\"plots\">" +
         svg_of({.title = title, .x_label = "step", .series = total}) +
         svg_of(
             {.title = "Its terms, smoothed", .x_label = "step", .series = parts, .log_y = true}) +
         "</div></div>";
}

}  // namespace

std::string results_section(const ReportData& data) {
  std::string html = "<section><h2>Results</h2>";
  if (data.tables.empty())
    html += "<p class=\"note\">No table of results was found in this folder.</p>";
  std::string others;
  for (const ReportTable& table : data.tables)
    (is_result(data, table.stage) ? html : others) += table_html(table);
  if (!others.empty()) html += folded("Tables of the runs that these rest on", others);
  return html + "</section>";
}

std::string plots_section(const ReportData& data) {
  if (data.plots.empty()) return "";
  std::string plots, others;
  for (const ReportPlot& shown : data.plots)
    (is_result(data, shown.stage) ? plots : others) +=
        "<div class=\"card\">" + svg_of(shown.plot) + "</div>";
  std::string html = "<section><h2>Plots</h2><div class=\"plots\">" + plots + "</div>";
  if (!others.empty())
    html +=
        folded("Plots of the runs that these rest on", "<div class=\"plots\">" + others + "</div>");
  return html + "</section>";
}

std::string pictures_section(const ReportData& data) {
  if (data.pictures.empty()) return "";
  std::string html = "<section><h2>Pictures</h2>";
  for (const ReportPicture& picture : data.pictures)
    html += "<div class=\"card\"><h3>" + html_escape(picture.title) + "</h3>" +
            panel_html(img_html(picture.image, picture.title, 1200), "") + "</div>";
  return html + "</section>";
}

std::string training_section(const ReportData& data) {
  std::string html = "<section><h2>Training</h2>";
  if (data.logs.empty())
    return html + "<p class=\"note\">No training log was found in this folder.</p></section>";
  std::string first, others;
  for (size_t i = 0; i < data.logs.size(); ++i) {
    const auto& [what, log] = data.logs[i];
    (i < kMostCurves ? first : others) +=
        curves_card(data.logs.size() > 1 ? "Loss (" + what + ")" : "Loss", log);
  }
  html += first;
  if (!others.empty()) html += folded("The other trainings", others);
  return html + "</section>";
}

std::string seconds_section(const ReportData& data) {
  std::string html = "<section><h2>Where the time went</h2>";
  if (data.seconds.empty())
    return html + "<p class=\"note\">No timings were found in this folder.</p></section>";
  double sum_s = 0, most_s = 0;
  for (const auto& [name, seconds] : data.seconds) {
    sum_s += seconds;
    most_s = std::max(most_s, seconds);
  }
  html +=
      "<div class=\"card scroll\"><table><thead><tr><th>stage</th><th></th><th>seconds</th>"
      "<th>share</th></tr></thead><tbody>";
  for (const auto& [name, seconds] : data.seconds)
    html += fmt::format(
        "<tr><td>{}</td><td class=\"bar\"><i style=\"--w:{:.1f}%\"></i></td><td>{:.1f}</td>"
        "<td>{:.0f} %</td></tr>",
        html_escape(name), 100 * seconds / std::max(most_s, 1e-9), seconds,
        100 * seconds / std::max(sum_s, 1e-9));
  return html + fmt::format(
                    "<tr><td><b>all together</b></td><td></td><td><b>{:.1f}</b></td>"
                    "<td>{}</td></tr></tbody></table></div></section>",
                    sum_s, format_duration(sum_s));
}

std::string making_section(const ReportData& data) {
  if (data.facts.empty()) return "";
  std::string html = "<section><h2>How it was made</h2><div class=\"card\">";
  html += pairs_table(data.facts);
  if (!data.settings.empty())
    html += "<details><summary>All settings</summary>" + pairs_table(data.settings) + "</details>";
  return html + "</div></section>";
}

}  // namespace bbam
