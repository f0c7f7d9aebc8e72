// The report as HTML.
#include <fmt/format.h>

#include "cli/draw.h"
#include "cli/html.h"
#include "cli/plot.h"
#include "cli/report_panels.h"
#include "cli/report_sections.h"
#include "cli/report_style.h"

namespace bbam {
namespace {

std::string heat_gradient() {
  std::string stops;
  for (int i = 0; i <= 12; ++i) stops += ", " + css_color(heat_color(i / 12.0));
  return "linear-gradient(90deg" + stops + ")";
}

// Those of dark ground are in the style sheet.
std::string series_colors() {
  std::string css;
  for (size_t i = 0; i < kSeriesColors.size(); ++i)
    css += fmt::format(";--s{}:{}", i, kSeriesColors[i]);
  return css;
}

}  // namespace

std::string report_page(const ReportData& data) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>bbam: " +
      html_escape(data.title) +
      "</title><link rel=\"icon\" href=\"data:,\"><style>:root{--heat:" + heat_gradient() +
      series_colors() + "}" + kReportStyle + "</style></head><body><header><div><h1>" +
      html_escape(data.title) +
      "</h1><p class=\"lead\">Bounding-box attribution maps: pixel masks from a detector that has "
      "seen nothing but boxes.</p><div class=\"tiles\">";
  for (const auto& [value, label] : data.headline)
    html += "<div class=\"tile\"><b>" + html_escape(value) + "</b><span>" + html_escape(label) +
            "</span></div>";
  html += "</div></div></header><main>";
  html += idea_section(data) + results_section(data) + plots_section(data) + objects_section(data) +
          seen_section(data) + pictures_section(data) + training_section(data) +
          seconds_section(data) + making_section(data);
  html += "<footer>";
  for (const std::string& problem : data.problems) html += html_escape(problem) + "<br>";
  return html +
         "The method: Lee, Yi, Shin, Yoon, <i>BBAM: Bounding Box Attribution Map for Weakly "
         "Supervised Semantic and Instance Segmentation</i>, CVPR 2021. This page is one "
         "file and asks nothing of the network.</footer></main></body></html>\n";
}

}  // namespace bbam
