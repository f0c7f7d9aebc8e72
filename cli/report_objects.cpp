// The report on single objects: the idea, shown with the most telling one, and each on its way.
#include <fmt/format.h>

#include <algorithm>

#include "cli/draw.h"
#include "cli/html.h"
#include "cli/plot.h"
#include "cli/report_panels.h"
#include "cli/report_sections.h"

namespace bbam {
namespace {

std::string labelled_panel(const Example& e, const std::string& caption) {
  const auto& boxes = e.labelled.empty() ? std::vector<ExampleBox>{e.subject} : e.labelled;
  return panel_html(
      img_html(e.picture, "picture with its boxes") + boxes_svg(e.picture, boxes, &e.subject),
      caption);
}

std::string mask_panel(const Example& e, const std::optional<Image>& mask,
                       const std::string& caption) {
  if (!mask) return "";
  return panel_html(img_html(mask_overlay(e.picture, *mask, class_color(e.subject.label)), caption),
                    caption);
}

// The area term keeps the values of a late map small.
Image map_picture(const Example& e, const Tensor& map) {
  return heat_overlay(e.picture, brightened(map));
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
    std::string tag = img_html(map_picture(e, map), fmt::format("map at {}", iteration));
    if (k > 0) tag.insert(4, " style=\"animation:" + name + " 6s infinite\"");
    inside += tag;
    ++k;
  }
  return "<style>" + style + "</style>" +
         panel_html("<div class=\"stack\">" + inside + "</div>", "");
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
    html += panel_html(
        img_html(e.picture, "detections") + boxes_svg(e.picture, e.detected, nullptr), "detected");
  for (const auto& [iteration, map] : e.maps) {
    const std::string caption = iteration == 0 ? "map"
                                               : fmt::format("map after {} iteration{}", iteration,
                                                             iteration == 1 ? "" : "s");
    html += panel_html(img_html(map_picture(e, map), caption), caption);
  }
  if (e.maps.empty()) html += "<p class=\"note\">There is no attribution map of this object.</p>";
  html += mask_panel(e, e.mask, "mask that came out");
  html += mask_panel(e, e.truth, "true mask");
  return html + "</div><div class=\"side\">" + iou_bars(e) + curve_chart(e) + "</div></article>";
}

}  // namespace

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
  html += step(panel_html(img_html(e->picture, "picture with what was detected") +
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
  if (data.examples_left_out > 0)
    html += fmt::format("<p class=\"note\">The folder has {} more.</p>", data.examples_left_out);
  return html + "</section>";
}

}  // namespace bbam
