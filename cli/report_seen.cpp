// The report on segmenters: pictures as each of them sees them, beside what is true.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/html.h"
#include "cli/report_panels.h"
#include "cli/report_sections.h"

namespace bbam {
namespace {

// What the stages have seen in one picture, in their order.
using Views = std::vector<const ReportSeen*>;

// By picture, in the order in which they came.
std::vector<Views> by_picture(const std::vector<ReportSeen>& seen) {
  std::vector<Views> pictures;
  std::map<std::string, size_t> place;
  for (const ReportSeen& view : seen) {
    const auto [found, is_new] = place.emplace(view.example.image_id, pictures.size());
    if (is_new) pictures.emplace_back();
    pictures[found->second].push_back(&view);
  }
  return pictures;
}

std::string legend(const Views& views) {
  std::map<int, std::string> classes;
  for (const ReportSeen* view : views)
    classes.insert(view->example.classes.begin(), view->example.classes.end());
  std::string html;
  for (const auto& [label, name] : classes)
    html += fmt::format("<span class=\"chip\"><i style=\"background:{}\"></i>{}</span>",
                        css_color(class_color(label)), html_escape(name));
  return html;
}

std::string drawn_panel(const Image& picture, const std::string& caption) {
  return panel_html(img_html(picture, caption), html_escape(caption));
}

// In one row the photograph, the truth, and what each stage has found; networks of one kind alone.
std::string row_of_kind(const Views& all, const std::string& kind) {
  Views views;
  std::copy_if(all.begin(), all.end(), std::back_inserter(views),
               [&](const ReportSeen* view) { return view->example.kind == kind; });
  if (views.empty()) return "";
  const auto true_view = std::find_if(views.begin(), views.end(), [](const ReportSeen* view) {
    return view->example.truth.has_value();
  });
  std::vector<std::string> panels{drawn_panel(views[0]->example.photograph, "photograph")};
  if (true_view != views.end())
    panels.push_back(drawn_panel(*(*true_view)->example.truth, "true " + kind));
  for (const ReportSeen* view : views)
    panels.push_back(drawn_panel(view->example.prediction,
                                 views.size() == 1 ? "predicted " + kind : view->stage));
  return fmt::format("<div class=\"panels\" style=\"--columns:{}\">{}</div>",
                     std::clamp<size_t>(panels.size(), 4, 6), fmt::join(panels, ""));
}

}  // namespace

std::string seen_section(const ReportData& data) {
  if (data.seen.empty()) return "";
  std::string html =
      "<section class=\"seen\"><h2>What the segmenters see</h2><p>Pictures of the split, as the "
      "networks see them that were trained with masks: objects, or a class for every pixel.</p>";
  for (const Views& views : by_picture(data.seen)) {
    const SeenExample& first = views[0]->example;
    html += "<article class=\"card\"><div class=\"title\"><h3>Picture " +
            html_escape(first.image_id) + "</h3>" + legend(views) + "</div>" +
            row_of_kind(views, "objects") + row_of_kind(views, "classes") + "</article>";
  }
  return html + "</section>";
}

}  // namespace bbam
