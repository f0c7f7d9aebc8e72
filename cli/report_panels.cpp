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
        place_label(b.box, 0.64f * size * float(name.size()), 1.2f * size, picture.size(), taken);
    names += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:.1f}\">{}</text>", place.x0,
                         place.y0 + 0.95f * size, size, html_escape(name));
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" aria-hidden=\"true\">{}{}</svg>", picture.width,
                     picture.height, rects, names);
}

}  // namespace bbam
