// Pieces of a web page that needs nothing but itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "datasets/image.h"

namespace bbam {

// & < > " ' become entities.
std::string html_escape(std::string_view text);
std::string base64(std::string_view bytes);
// "data:image/jpeg;base64,..."
std::string data_uri(const Image& image, int jpeg_quality = 88);

struct Series {
  std::string name;
  std::vector<double> x, y;
  bool faint = false;  // the raw numbers behind a smoothed line, without a legend entry
};

struct ChartOptions {
  std::string x_label = "", y_label = "";
  bool log_y = false;  // values that are not positive are left out
  int width = 640, height = 280;
};

// A line chart as inline SVG; colours and fonts come from the page's style (classes chart, grid,
// s0, s1, ...). Series without two finite points are left out; without any the result is "".
std::string svg_chart(const std::vector<Series>& series, const ChartOptions& options);

// About `count` round numbers (1, 2 or 5 times a power of ten) that span low to high.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace bbam
