// Pictures as the report page shows them.
#pragma once
#include <string>
#include <vector>

#include "cli/draw.h"
#include "cli/example.h"

namespace bbam {

std::string css_color(Color color);
// An <img> that holds the picture, made smaller where it is wider than that.
std::string img_html(const Image& image, const std::string& alt, int most_wide = 480);
// A frame around it, and a caption, which is HTML, where there is one.
std::string panel_html(const std::string& inside, const std::string& caption);
// Boxes as vectors over the picture, their names in the page's own letters. Those that are not the
// subject's are drawn fainter, where there is a subject.
std::string boxes_svg(const Image& picture, const std::vector<ExampleBox>& boxes,
                      const ExampleBox* subject);

}  // namespace bbam
