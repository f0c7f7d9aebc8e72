// The report as HTML: one function for each section.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/draw.h"
#include "cli/html.h"
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/report_style.h"
#include "cli/table.h"
#include "datasets/transforms.h"

namespace bbam {
namespace {

std::string css_color(Color c) { return fmt::format("rgb({} {} {})", c[0], c[1], c[2]); }

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

// Wide enough for a sharp panel, small enough for a page of dozens.
Image embeddable(const Image& image) {
  constexpr int kMostWide = 480;
  if (image.width <= kMostWide) return image;
  return resize_bilinear(
      image,
      {kMostWide, std::max(1, int(std::lround(double(image.height) * kMostWide / image.width)))});
}

std::string img(const Image& image, const std::string& alt) {
  return fmt::format("<img src=\"{}\" alt=\"{}\" width=\"{}\" height=\"{}\">",
                     data_uri(embeddable(image)), html_escape(alt), image.width, image.height);
}

std::string panel(const std::string& inside, const std::string& caption) {
  return "<figure class=\"panel\"><div class=\"frame\">" + inside + "</div>" +
         (caption.empty() ? "" : "<figcaption>" + caption + "</figcaption>") + "</figure>";
}

// Where the name of a box goes: the first of these places that stays in the picture and covers no
// name that is there already; above the box if none does.
PixelBox place_name(const PixelBox& box, float width, float height, const Image& picture,
                    std::vector<PixelBox>& taken) {
  const auto at = [&](float x, float y) { return PixelBox{x, y, x + width, y + height}; };
  const auto free = [&](const PixelBox& place) {
    const auto overlaps = [&](const PixelBox& name) {
      return std::max(place.x0, name.x0) < std::min(place.x1, name.x1) &&
             std::max(place.y0, name.y0) < std::min(place.y1, name.y1);
    };
    return place.x0 >= 0 && place.y0 >= 0 && place.x1 <= float(picture.width) &&
           place.y1 <= float(picture.height) && std::none_of(taken.begin(), taken.end(), overlaps);
  };
  const float left = box.x0, right = box.x1 - width, above = box.y0 - height;
  const std::vector<PixelBox> places{at(left, above),  at(right, above),
                                     at(left, box.y1), at(right, box.y1),
                                     at(left, box.y0), at(right, box.y1 - height)};
  const auto found = std::find_if(places.begin(), places.end(), free);
  taken.push_back(found == places.end() ? places.front() : *found);
  return taken.back();
}

// Boxes as vectors over the picture, their names in the page's own letters.
std::string boxes_svg(const Image& picture, const std::vector<ExampleBox>& boxes,
                      const ExampleBox* subject) {
  const float size = std::max(float(picture.width) * 0.05f, 8.0f);
  std::string rects, names;  // names last, so that no line crosses them
  std::vector<PixelBox> taken;
  for (const ExampleBox& b : boxes) {
    const bool is_subject = subject == nullptr || b.box == subject->box;
    const std::string name =
        b.score >= 0 ? fmt::format("{} {:.2f}", b.class_name, b.score) : b.class_name;
    rects += fmt::format(
        "<rect{} x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" stroke=\"{}\"/>",
        is_subject ? "" : " class=\"other\"", b.box.x0, b.box.y0, b.box.x1 - b.box.x0,
        b.box.y1 - b.box.y0, css_color(class_color(b.label)));
    const PixelBox place =
        place_name(b.box, 0.64f * size * float(name.size()), 1.2f * size, picture, taken);
    names += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:.1f}\">{}</text>", place.x0,
                         place.y0 + 0.95f * size, size, html_escape(name));
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" aria-hidden=\"true\">{}{}</svg>", picture.width,
                     picture.height, rects, names);
}

std::string labelled_panel(const Example& e, const std::string& caption) {
  const auto& boxes = e.labelled.empty() ? std::vector<ExampleBox>{e.subject} : e.labelled;
  return panel(img(e.picture, "picture with its boxes") + boxes_svg(e.picture, boxes, &e.subject),
               caption);
}

std::string mask_panel(const Example& e, const std::optional<Image>& mask,
                       const std::string& caption) {
  if (!mask) return "";
  return panel(img(mask_overlay(e.picture, *mask, class_color(e.subject.label)), caption), caption);
}

// Relative to its highest value: the area term keeps the values of a late map small.
Image map_picture(const Example& e, const Tensor& map) {
  std::vector<float> values = map.to_vector<float>();
  const float most = *std::max_element(values.begin(), values.end());
  if (most > 0)
    for (float& value : values) value /= most;
  return heat_overlay(e.picture, Tensor::from(values, map.shape()));
}

// The maps one after the other, each laid over those before; in CSS alone.
std::string animated_maps(const Example& e) {
  std::string inside, style;
  const double share = 100.0 / double(e.maps.size());
  size_t k = 0;
  for (const auto& [iteration, map] : e.maps) {
    const std::string name = fmt::format("grow{}", k);
    if (k > 0)
      style += fmt::format("@keyframes {} {{0%,{:.1f}%{{opacity:0}}{:.1f}%,100%{{opacity:1}}}}",
                           name, share * double(k) - 6, share * double(k));
    std::string tag = img(map_picture(e, map), fmt::format("map at {}", iteration));
    if (k > 0) tag.insert(4, " style=\"animation:" + name + " 6s infinite\"");
    inside += tag;
    ++k;
  }
  return "<style>" + style + "</style>" + panel("<div class=\"stack\">" + inside + "</div>", "");
}

std::string step(const std::string& picture, const std::string& title, const std::string& text) {
  return "<div>" + picture + "<h3>" + title + "</h3><p>" + text + "</p></div>";
}

// The most telling example: everything there, and the best mask.
const Example* showpiece(const ReportData& data) {
  const Example* best = nullptr;
  const auto value = [](const Example& e) { return e.iou.empty() ? 0 : e.iou.back().second; };
  for (const Example& e : data.examples)
    if (!e.maps.empty() && e.mask && (best == nullptr || value(e) > value(*best))) best = &e;
  return best;
}

std::string idea_section(const ReportData& data) {
  std::string html =
      "<section><h2>The idea</h2><p>Drawing a box around an object takes seconds, "
      "tracing its outline takes minutes. A detector that was trained on boxes alone "
      "must have learned what the objects look like inside them; so it can be asked. "
      "BBAM looks for the smallest set of pixels that, with everything else blotted "
      "out, makes the detector say what it said before.</p>";
  const Example* e = showpiece(data);
  if (e == nullptr) return html + "</section>";
  html += "<div class=\"steps\">";
  html += step(labelled_panel(*e, ""), "Boxes", "All that a person has drawn.");
  const bool found = !e->detected.empty();
  html += step(panel(img(e->picture, "picture with what was detected") +
                         (found ? boxes_svg(e->picture, e->detected, nullptr) : ""),
                     ""),
               "A detector",
               "Faster R-CNN with a feature pyramid, trained on the boxes. Then it is frozen.");
  html +=
      step(animated_maps(*e), "The question",
           fmt::format("Which pixels does it need? A mask is optimised over {} iterations until "
                       "little of it is left and the answer is still the same.",
                       e->maps.rbegin()->first));
  html += step(mask_panel(*e, e->mask, ""), "The mask",
               "A conditional random field pulls the answer to the edges in the picture: a label "
               "for segmentation that nobody drew.");
  return html + "</div></section>";
}

std::string table_html(const ReportTable& table) {
  std::string html = "<div class=\"card\">";
  if (!table.title.empty()) html += "<h3>" + html_escape(table.title) + "</h3>";
  html += "<div class=\"scroll\"><table><thead><tr>";
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

std::string results_section(const ReportData& data) {
  std::string html = "<section><h2>Results</h2>";
  if (data.tables.empty())
    html += "<p class=\"note\">No table of results was found in this folder.</p>";
  for (const ReportTable& table : data.tables) html += table_html(table);
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

std::string training_section(const ReportData& data) {
  std::string html = "<section><h2>Training</h2>";
  if (data.logs.empty())
    return html + "<p class=\"note\">No training log was found in this folder.</p></section>";
  for (const auto& [what, log] : data.logs) {
    const std::vector<double> steps = log.column("step");
    const std::string of = data.logs.size() > 1 ? " (" + what + ")" : "";
    std::vector<Series> total, parts;
    for (const std::string& name : log.columns) {
      if (name == "step" || name == "rate" || name == "seconds") continue;
      const std::vector<double> values = log.column(name);
      auto& chart = name == "total" ? total : parts;
      if (name == "total") chart.push_back({name, steps, values, true});
      chart.push_back({name, steps, smoothed(values)});
    }
    html += "<div class=\"card\"><div class=\"plots\">";
    html += svg_of({.title = "Loss" + of, .x_label = "step", .series = total});
    html +=
        svg_of({.title = "Its terms, smoothed", .x_label = "step", .series = parts, .log_y = true});
    html += "</div></div>";
  }
  return html + "</section>";
}

std::string iou_bars(const Example& e) {
  if (e.iou.empty()) return "";
  std::string html = "<h4>IoU with the true mask</h4><div class=\"bars\">";
  for (const auto& [name, value] : e.iou)
    html += fmt::format("<span>{}</span><i{} style=\"--w:{:.1f}%\"></i><b>{:.2f}</b>",
                        html_escape(name), &name == &e.iou.back().first ? " class=\"best\"" : "",
                        100 * std::clamp(value, 0.0, 1.0), value);
  return html + "</div>";
}

std::string curve_chart(const Example& e) {
  if (!e.curve.has("iteration")) return "";
  std::vector<Series> series;
  for (const std::string& name : e.curve.columns) {
    const std::vector<double> values = e.curve.column(name);
    const bool unused = std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
    if (name != "iteration" && !unused)
      series.push_back({name, e.curve.column("iteration"), values});
  }
  return svg_of({.title = "Objective", .x_label = "iteration", .series = series},
                {.width = 420, .height = 300});
}

std::string object_card(const Example& e) {
  std::vector<std::string> facts{"picture " + html_escape(e.image_id)};
  if (e.proposals >= 0) facts.push_back(fmt::format("{} positive proposals", e.proposals));
  if (e.stride_px > 0) facts.push_back(fmt::format("mask stride {:.1f} px", e.stride_px));
  if (e.seconds >= 0) facts.push_back(fmt::format("{:.1f} s", e.seconds));
  std::string html = fmt::format(
      "<article class=\"card object\"><div class=\"title\"><h3>{}</h3><p "
      "class=\"note\">{}</p></div>"
      "<div class=\"panels\">",
      html_escape(e.subject.class_name), fmt::join(facts, " &middot; "));
  html += labelled_panel(e, "labelled");
  if (!e.detected.empty())
    html +=
        panel(img(e.picture, "detections") + boxes_svg(e.picture, e.detected, nullptr), "detected");
  for (const auto& [iteration, map] : e.maps) {
    const std::string caption = iteration == 0 ? "map"
                                               : fmt::format("map after {} iteration{}", iteration,
                                                             iteration == 1 ? "" : "s");
    html += panel(img(map_picture(e, map), caption), caption);
  }
  if (e.maps.empty()) html += "<p class=\"note\">There is no attribution map of this object.</p>";
  html += mask_panel(e, e.mask, "mask that came out");
  html += mask_panel(e, e.truth, "true mask");
  return html + "</div><div class=\"side\">" + iou_bars(e) + curve_chart(e) + "</div></article>";
}

std::string objects_section(const ReportData& data) {
  std::string html = "<section><h2>Objects, one by one</h2>";
  if (data.examples.empty())
    return html + "<p class=\"note\">No examples were found in this folder.</p></section>";
  html +=
      "<p>Each map says how much the detector needs a pixel. It begins as the filled boxes of "
      "the proposals that are right; what can be taken away without changing the answer goes. "
      "Colours are relative to the highest value of each map."
      "</p><div class=\"heatbar\">not needed <i></i> needed</div>";
  for (const Example& e : data.examples) html += object_card(e);
  return html + "</section>";
}

std::string pairs_table(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html = "<div class=\"scroll\"><table class=\"wrap\"><tbody>";
  for (const auto& [name, value] : pairs)
    html += "<tr><td>" + html_escape(name) + "</td><td><code>" + html_escape(value) +
            "</code></td></tr>";
  return html + "</tbody></table></div>";
}

std::string making_section(const ReportData& data) {
  if (data.facts.empty()) return "";
  std::string html = "<section><h2>How it was made</h2><div class=\"card\">";
  html += pairs_table(data.facts);
  if (!data.settings.empty())
    html += "<details><summary>All settings</summary>" + pairs_table(data.settings) + "</details>";
  return html + "</div></section>";
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
  html += idea_section(data) + results_section(data) + objects_section(data) +
          training_section(data) + seconds_section(data) + making_section(data);
  html += "<footer>";
  for (const std::string& problem : data.problems) html += html_escape(problem) + "<br>";
  return html +
         "The method: Lee, Yi, Shin, Yoon, <i>BBAM: Bounding Box Attribution Map for Weakly "
         "Supervised Semantic and Instance Segmentation</i>, CVPR 2021. This page is one "
         "file and asks nothing of the network.</footer></main></body></html>\n";
}

}  // namespace bbam
