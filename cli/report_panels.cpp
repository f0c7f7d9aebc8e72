#include "cli/report_panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/html.h"
#include "datasets/transforms.h"

namespace bbam {
namespace {

// Wide enough for a sharp panel, small enough for a page of dozens.
Image embeddable(const Image& image, int most_wide) {
  if (image.width <= most_wide) return image;
  const double scale = double(most_wide) / image.width;
  return resize_bilinear(image, {most_wide, std::max(1, int(std::lround(scale * image.height)))});
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

}  // namespace

std::string css_color(Color c) { return fmt::format("rgb({} {} {})", c[0], c[1], c[2]); }

std::string img_html(const Image& image, const std::string& alt, int most_wide) {
  return fmt::format("<img src=\"{}\" alt=\"{}\" width=\"{}\" height=\"{}\">",
                     data_uri(embeddable(image, most_wide)), html_escape(alt), image.width,
                     image.height);
}

std::string panel_html(const std::string& inside, const std::string& caption) {
  return "<figure class=\"panel\"><div class=\"frame\">" + inside + "</div>" +
         (caption.empty() ? "" : "<figcaption>" + caption + "</figcaption>") + "</figure>";
}

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

}  // namespace bbam
