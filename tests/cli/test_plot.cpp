#include "cli/plot.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "cli/draw.h"
#include "cli/plot_axis.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::TempFolder;

namespace {

// The figure, read back as XML.
pugi::xml_document parsed(const std::string& svg) {
  pugi::xml_document document;
  const auto result = document.load_string(svg.c_str());
  REQUIRE_MESSAGE(result, result.description());
  return document;
}

std::vector<pugi::xml_node> all(const pugi::xml_document& document, const char* path) {
  std::vector<pugi::xml_node> nodes;
  for (const auto& found : document.select_nodes(path)) nodes.push_back(found.node());
  return nodes;
}

double number(const pugi::xml_node& node, const char* name) {
  return node.attribute(name).as_double(NAN);
}

// Where the axis with this tick has it.
double place_of_tick(const pugi::xml_document& document, const std::string& tick, const char* of) {
  for (const pugi::xml_node& node : all(document, "//text"))
    if (node.text().get() == tick) return number(node, of);
  FAIL("no tick " << tick);
  return NAN;
}

Plot sweep() {
  return {.title = "IoU & more",
          .x_label = "<lambda>",
          .y_label = "IoU",
          .series = {{"a", {0.001, 0.01, 0.1}, {60, 65, 62}}, {"b", {0.001, 0.1}, {50, 55}}},
          .log_x = true};
}

Plot sizes() {
  return {.kind = PlotKind::kBars,
          .title = "by size",
          .series = {{"8", {}, {0.5, 1, NAN}}, {"16", {}, {0.25, 0.75, 0}}},
          .categories = {"small", "medium", "large"}};
}

Plot density() {
  return {.kind = PlotKind::kHeat,
          .title = "where",
          .x_range = PlotRange{-1, 1},
          .y_range = PlotRange{-1, 1},
          .values = {{0, 0, 4}, {0, 2, 0}},
          .circle = 1};
}

}  // namespace

TEST_CASE("plot: round ticks") {
  CHECK(round_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(round_ticks(3, 3, 5) == std::vector<double>{3});
  const std::vector<double> small = round_ticks(0.11, 0.32, 4);
  REQUIRE(small.size() == 4);
  CHECK(small.front() == doctest::Approx(0.15));
  CHECK(small.back() == doctest::Approx(0.3));
}

TEST_CASE("plot: ticks of logarithmic axes") {
  const auto texts = [](double low, double high) {
    std::string list;
    Axis axis{.log = true, .low = low, .high = high};
    for (const double tick : axis.ticks(5)) list += tick_text(tick) + " ";
    return list;
  };
  CHECK(texts(0.5, 20) == "0.5 1 2 5 10 20 ");
  CHECK(texts(1e-5, 10) == "1e-05 0.0001 0.001 0.01 0.1 1 10 ");
  CHECK(texts(6, 9) == "6 6.5 7 7.5 8 8.5 9 ");  // without 1, 2 or 5 inside
}

TEST_CASE("plot: axes map their ends, and the middle by their scale") {
  Axis axis{.low = 1, .high = 100, .from_px = 10, .to_px = 110};
  CHECK(axis.px(1) == doctest::Approx(10));
  CHECK(axis.px(50.5) == doctest::Approx(60));
  axis.log = true;
  CHECK(axis.px(10) == doctest::Approx(60));
  CHECK(axis.px(100) == doctest::Approx(110));
}

TEST_CASE("plot: lines place their points") {
  const std::string svg = svg_of(
      {.title = "a < b", .x_label = "step", .series = {{"loss", {0, 10}, {0, 100}}}}, {172, 164});
  // The plot spans 54 to 154 across and 14 to 114 down; 4 % of room above.
  CHECK(svg.find("points=\"54.0,114.0 154.0,17.8\"") != std::string::npos);
  CHECK(svg.find("a &lt; b") != std::string::npos);
  CHECK(svg_of({}) == "");
  CHECK(svg_of({.series = {{"none", {1, 2}, {NAN, INFINITY}}}}) == "");
  CHECK(svg_of({.series = {{"log of 0", {1, 2}, {0, -1}}}, .log_y = true}) == "");
  CHECK(svg_of({.series = {{"log of 0", {0, -1}, {1, 2}}}, .log_x = true}) == "");
}

TEST_CASE("plot: a sweep on a logarithmic axis has a marker at each value") {
  const auto document = parsed(svg_of(sweep()));
  const auto marks = all(document, "//circle");
  REQUIRE(marks.size() == 5);
  CHECK(all(document, "//polyline").size() == 2);
  // Decades lie equally far apart, and at their ticks.
  const double x0 = number(marks[0], "cx"), x1 = number(marks[1], "cx"),
               x2 = number(marks[2], "cx");
  CHECK(x1 - x0 == doctest::Approx(x2 - x1).epsilon(0.001));
  CHECK(x1 == place_of_tick(document, "0.01", "x"));
  // 50 to 65 is far from 0: the axis shows what differs.
  CHECK(number(marks[3], "cy") - number(marks[1], "cy") > 150);
  CHECK(place_of_tick(document, "<lambda>", "x") > x1);
  // A single value is a marker; many are a line without.
  CHECK(all(parsed(svg_of({.series = {{"one", {1}, {1}}}})), "//circle").size() == 1);
  Series many;
  for (int i = 0; i < 100; ++i) many.x.push_back(i), many.y.push_back(i);
  CHECK(all(parsed(svg_of({.series = {many}})), "//circle").empty());
  const Plot cloud{.kind = PlotKind::kPoints, .series = {many}};
  CHECK(all(parsed(svg_of(cloud)), "//circle").size() == 100);
  CHECK(all(parsed(svg_of(cloud)), "//polyline").empty());
}

TEST_CASE("plot: fixed ranges are the axes' ends, and what lies outside is left out") {
  Plot plot{.series = {{"a", {0, 5, 10}, {-1, 0.5, 0.75}}}};
  plot.x_range = PlotRange{0, 20};
  plot.y_range = PlotRange{0, 1};
  const auto document = parsed(svg_of(plot, {172, 164}));
  const auto marks = all(document, "//circle");
  REQUIRE(marks.size() == 2);
  CHECK(number(marks[0], "cx") == doctest::Approx(54 + 100 * 5. / 20));
  CHECK(number(marks[0], "cy") == doctest::Approx(64));
  CHECK(number(marks[1], "cy") == doctest::Approx(39));
}

TEST_CASE("plot: bars stand in their category, as high as their values") {
  const auto document = parsed(svg_of(sizes()));
  const auto bars = all(document, "//rect");
  REQUIRE(bars.size() == 5);  // a value that is none has none
  CHECK(number(bars[1], "height") == doctest::Approx(2 * number(bars[0], "height")).epsilon(0.01));
  CHECK(number(bars[2], "height") == doctest::Approx(number(bars[0], "height") / 2).epsilon(0.01));
  CHECK(number(bars[4], "height") == 0);
  const double ground = number(bars[0], "y") + number(bars[0], "height");
  CHECK(ground == doctest::Approx(place_of_tick(document, "0", "y") - 4).epsilon(0.001));
  // Both bars of "medium" are beside each other around its name.
  const double middle = place_of_tick(document, "medium", "x");
  CHECK(number(bars[1], "x") + number(bars[1], "width") <= middle);
  CHECK(number(bars[3], "x") >= middle);
  CHECK(number(bars[3], "x") - middle < 2);
  // The figures above them.
  CHECK(place_of_tick(document, "0.75", "y") < number(bars[3], "y"));
  Plot negative = sizes();
  negative.series[0].y = {-1, 1, -0.5};
  const auto below = all(parsed(svg_of(negative)), "//rect");
  CHECK(number(below[0], "y") ==
        doctest::Approx(number(below[1], "y") + number(below[1], "height")));
  Plot wrong = sizes();
  wrong.categories.pop_back();
  CHECK_THROWS_WITH_AS(svg_of(wrong), doctest::Contains("3 bars named '8' for 2 categories"),
                       Error);
  Plot empty = sizes();
  for (Series& series : empty.series) series.y = {NAN, NAN, NAN};
  CHECK(svg_of(empty) == "");
}

TEST_CASE("plot: long names of many categories are slanted and stay inside") {
  Plot plot{.kind = PlotKind::kBars, .series = {{"AP", {}, {}}}};
  for (int i = 0; i < 20; ++i) {
    plot.series[0].y.push_back(i);
    plot.categories.push_back("potted plant");
  }
  const auto turned = all(parsed(svg_of(plot)), "//text[@transform]");
  CHECK(turned.size() == 20);
  CHECK(all(parsed(svg_of(sizes())), "//text[@transform]").empty());
}

TEST_CASE("plot: a grid has row 0 on top, cells to one scale, and its circle") {
  const auto document = parsed(svg_of(density()));
  const auto circle = all(document, "//ellipse");
  REQUIRE(circle.size() == 1);
  const double cx = number(circle[0], "cx"), cy = number(circle[0], "cy");
  const double r = number(circle[0], "rx");
  CHECK(number(circle[0], "ry") == doctest::Approx(r).epsilon(0.001));
  CHECK(place_of_tick(document, "-1", "y") - 4 == doctest::Approx(cy - r).epsilon(0.001));
  // The highest value is at the upper right, in the scale's highest colour.
  const auto cells = all(document, "//rect[@width > 20]");
  REQUIRE(cells.size() == 5);  // two zeros beside each other are one
  const Color top = heat_color(1);
  CHECK(std::string(cells[1].attribute("fill").value()) ==
        fmt::format("#{:02x}{:02x}{:02x}", top[0], top[1], top[2]));
  CHECK(number(cells[1], "x") == doctest::Approx(cx + r / 3).epsilon(0.001));
  CHECK(number(cells[1], "y") == doctest::Approx(cy - r).epsilon(0.001));
  CHECK(number(cells[0], "width") == doctest::Approx(2 * number(cells[1], "width")).epsilon(0.001));
  Plot wrong = density();
  wrong.values[1].pop_back();
  CHECK_THROWS_WITH_AS(svg_of(wrong), doctest::Contains("rows of 2 and of 3"), Error);
  wrong = density();
  wrong.x_range.reset();
  CHECK_THROWS_WITH_AS(svg_of(wrong), doctest::Contains("without x_range"), Error);
  wrong = density();
  wrong.values.clear();
  CHECK(svg_of(wrong) == "");
}

TEST_CASE("plot: what is kept as JSON is drawn the same") {
  for (Plot plot : {sweep(), sizes(), density()}) {
    plot.y_range = PlotRange{-1, 100};
    const std::string text = to_json(plot).dump();
    CHECK(svg_of(plot_of(nlohmann::json::parse(text))) == svg_of(plot));
    CHECK(to_json(plot_of(nlohmann::json::parse(text))).dump() == text);
  }
  const auto error = [](const char* text) {
    try {
      plot_of(nlohmann::json::parse(text));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  CHECK(error("[]") == "a plot is no JSON object");
  CHECK(error(R"({"kind": "bars", "series": [{"y": [1]}]})").find("for 0 categories") <
        std::string::npos);
  CHECK(error(R"({"kind": "pie"})").find("kind 'pie'") != std::string::npos);
  CHECK(error(R"({"title": "t", "series": [{"x": [1]}]})").find("\"t\"") != std::string::npos);
  CHECK(error(R"({"x_range": [1]})").find("x_range has 1 numbers") != std::string::npos);
}

TEST_CASE("plot: a file is a document of its own with title and legend") {
  TempFolder folder;
  write_svg(folder.path("p.svg"), sweep());
  const std::string text = read_file(folder.path("p.svg"));
  const auto document = parsed(text);
  const pugi::xml_node root = document.document_element();
  CHECK(std::string(root.attribute("xmlns").value()) == "http://www.w3.org/2000/svg");
  CHECK(std::string(all(document, "//text")[0].text().get()) == "IoU & more");
  CHECK(all(document, "//text[@class='legend']").size() == 2);
  CHECK(text.find("var(") == std::string::npos);
  for (const auto& node : all(document, "//*[@x]"))
    CHECK(number(node, "x") < number(root, "width"));
  CHECK_THROWS_WITH_AS(write_svg(folder.path("q.svg"), Plot{.title = "t"}),
                       doctest::Contains("nothing to show"), Error);
}
