#include "cli/report.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "cli/html.h"
#include "cli/npy.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/cli/run_command.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

Example some_example(const std::string& image_id) {
  Example e;
  e.image_id = image_id;
  e.object = 1;
  e.picture = Image(32, 24, 3);
  e.subject = {{4, 4, 20, 16}, "cat & <dog>", 2};
  e.labelled = {e.subject, {{1, 1, 5, 5}, "hen", 1}};
  e.detected = {{{4, 5, 21, 16}, "cat", 2, 0.875}};
  e.stride_px = 28.5;
  e.proposals = 87;
  e.seconds = 3.5;
  e.iou = {{"filled box", 0.5}, {"BBAM + CRF", 0.75}};
  for (const int iteration : {1, 50, 300})
    e.maps[iteration] = Tensor::from(std::vector<float>{0, 0.25f, 0.5f, 1, 0, 1}, {2, 3});
  e.curve = {{"iteration", "total"}, {{1, 0.5}, {2, 0.25}, {300, 0.125}}};
  e.mask = Image(32, 24, 1);
  *e.mask->at(5, 5) = 1;
  *e.mask->at(6, 5) = 255;
  e.truth = e.mask;
  return e;
}

void write_run(const std::string& root) {
  make_folder(root + "/train");
  write_csv(root + "/train/log.csv", {{"step", "rate", "total", "box"},
                                      {{1, 0.1, 2.5, 1}, {2, 0.1, 1.5, 0.5}, {3, 0.1, 1, 0.2}}});
  write_example(root + "/objects", some_example("2007_000032"));
  write_file(root + "/run.json", R"({
    "program": "bbam 0.1.0", "command_line": ["demo", "--out", "<x>"],
    "settings": {"lr": 0.1, "sides": [1, 2]}, "machine": {"device": "cpu"},
    "inputs": [{"path": "a", "hash": "fnv1a64:12"}], "seconds": {"train": 12.5, "solve": 37.5},
    "results": {"headline": [{"value": "0.83", "label": "mean IoU"}],
                "tables": [{"title": "Masks", "columns": ["how", "all"], "rows": [["box", "58.1"]]}]}
  })");
}

// What an HTML page could fetch from elsewhere.
bool asks_for_something(const std::string& page) {
  for (const char* part :
       {"http://", "https://", "src=\"/", "url(", "@import", "<script", "<link rel=\"style"})
    if (contains(page, part)) return true;
  return false;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("report: base64 as in RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\xff\x00\xfe", 3)) == "/wD+");
}

TEST_CASE("report: the page of a whole run") {
  TempFolder folder;
  write_run(folder.path());
  const auto result = run_command({"report", folder.path()});
  CHECK(result.err == "");
  REQUIRE(result.status == 0);
  const std::string page = read_file(folder.path("report.html"));
  CHECK(!asks_for_something(page));
  for (const char* part :
       {"<b>0.83</b>", "mean IoU", "<td>58.1</td>", "12.5", "75 %", "cat &amp; &lt;dog&gt;",
        "2007_000032", "87 positive proposals", "28.5 px", "map after 300 iterations",
        "map after 1 iteration<", "true mask", "cat 0.88", "BBAM + CRF", "fnv1a64:12",
        "demo --out &lt;x&gt;", "Objective", "Loss"})
    CHECK_MESSAGE(contains(page, part), part);
  CHECK(!contains(page, "was found"));
  CHECK(count(page, "data:image/jpeg;base64,") == 4 + 2 + 7);  // the idea: 1 + 1 + 3 + 1, object: 7
  CHECK(count(page, "<svg class=\"chart\"") == 3);
  for (const char* tag : {"div", "section", "figure", "table", "svg", "article", "tbody", "p"})
    CHECK_MESSAGE(
        count(page, std::string("<") + tag + " ") + count(page, std::string("<") + tag + ">") ==
            count(page, std::string("</") + tag + ">"),
        tag);
}

TEST_CASE("report: names of boxes do not cover each other") {
  TempFolder folder;
  write_run(folder.path());
  Example e = some_example("2007_000032");
  e.picture = Image(200, 160, 3);
  e.subject = {{40, 60, 120, 100}, "one", 1};
  e.labelled = {e.subject, {{40, 60, 121, 100}, "two", 2}, {{38, 60, 120, 101}, "six", 3}};
  e.detected.clear();
  write_example(folder.path("objects"), e);
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  const std::string page = read_file(folder.path("report.html"));
  const auto place = [&](const std::string& name) {
    const size_t end = page.find("\">" + name + "</text>"), begin = page.rfind("<text", end);
    REQUIRE(end != std::string::npos);
    const std::string tag = page.substr(begin, end - begin);
    const auto number = [&](const char* key) { return std::stod(tag.substr(tag.find(key) + 4)); };
    return std::pair(number(" x=\""), number(" y=\""));
  };
  const double size = 10, wide = 3 * 0.64 * size;
  const std::vector<std::pair<double, double>> places{place("one"), place("two"), place("six")};
  for (size_t i = 0; i < places.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      CAPTURE(i);
      CAPTURE(j);
      CHECK((std::abs(places[i].first - places[j].first) >= wide ||
             std::abs(places[i].second - places[j].second) >= size));
    }
}

TEST_CASE("report: tables of one title are told apart by their stage") {
  TempFolder folder;
  for (const char* stage : {"one", "two"}) {
    make_folder(folder.path(stage));
    write_file(folder.path(std::string(stage) + "/run.json"),
               R"({"results": {"tables": [{"title": "Masks", "columns": ["x"], "rows": [["1"]]},
                   {"title": "Only )" +
                   std::string(stage) + R"(", "columns": [], "rows": []}]}})");
  }
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  const std::string page = read_file(folder.path("report.html"));
  for (const char* title : {"Masks: one<", "Masks: two<", "Only one<", "Only two<"})
    CHECK_MESSAGE(contains(page, title), title);
}

TEST_CASE("report: plots and pictures of the run and its stages are shown") {
  TempFolder folder;
  for (const char* stage : {"one", "two"}) {
    make_folder(folder.path(stage));
    write_file(folder.path(std::string(stage) + "/run.json"), R"({"results": {
        "plots": [{"kind": "bars", "title": "By size", "categories": ["small"],
                   "series": [{"name": "IoU", "y": [0.5]}]}],
        "pictures": [{"file": "sheet.jpg", "title": "Sheet"}]}})");
    write_jpeg(folder.path(std::string(stage) + "/sheet.jpg"), Image(32, 24, 3));
  }
  write_file(folder.path("run.json"), R"({"results": {
      "plots": [{"title": "Sweep", "series": [{"name": "IoU", "x": [1, 2], "y": [3, 4]}]},
                {"kind": "bars", "title": "Broken", "series": [{"name": "IoU", "y": [0.5]}]}],
      "pictures": [{"file": "../elsewhere.jpg", "title": "Not ours"}]}})");
  const auto result = run_command({"report", folder.path()});
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "1 bars named 'IoU' for 0 categories; left out"));
  CHECK(contains(result.err, "../elsewhere.jpg does not lie below its run.json; left out"));
  const std::string page = read_file(folder.path("report.html"));
  CHECK(!asks_for_something(page));
  for (const char* part : {"<b>Sweep</b>", "<b>By size: one</b>", "<b>By size: two</b>",
                           "<h3>Sheet: one</h3>", "<h3>Sheet: two</h3>"})
    CHECK_MESSAGE(contains(page, part), part);
  CHECK(count(page, "<svg class=\"chart\"") == 3);
  CHECK(count(page, "data:image/jpeg;base64,") == 2);
  CHECK(count(page, "<div") == count(page, "</div"));
}

TEST_CASE("report: the stages that a run names come first, in its order; the others are folded") {
  TempFolder folder;
  for (const std::string stage : {"b-table", "a-table", "labels"}) {
    make_folder(folder.path(stage));
    write_file(folder.path(stage + "/run.json"),
               R"({"results": {"tables": [{"title": "Of )" + stage +
                   R"(", "columns": ["x"], "rows": [["1"]]}],
                   "plots": [{"title": "Plot of )" +
                   stage + R"(", "series": [{"name": "y", "x": [1, 2], "y": [3, 4]}]}]}})");
  }
  const auto places = [&](const std::vector<std::string>& parts) {
    const std::string page = read_file(folder.path("report.html"));
    std::vector<size_t> found;
    for (const std::string& part : parts) found.push_back(page.find(part));
    return found;
  };
  write_file(folder.path("run.json"), R"({"results": {"results_of": ["b-table", "a-table"]}})");
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  const auto at = places({"Of b-table", "Of a-table", "<details><summary>Tables of the runs",
                          "Of labels", "Plot of b-table", "Plot of a-table",
                          "<details><summary>Plots of the runs", "Plot of labels"});
  CHECK(std::is_sorted(at.begin(), at.end()));
  CHECK(at.back() != std::string::npos);
  write_file(folder.path("run.json"), "{}");
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  CHECK(places({"<details><summary>Tables"})[0] == std::string::npos);
}

TEST_CASE("report: of many examples the page shows some and says how many there are") {
  TempFolder folder;
  for (size_t i = 0; i < kMostExamples + 3; ++i)
    write_example(folder.path("objects"), some_example(std::to_string(1000 + i)));
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  const std::string page = read_file(folder.path("report.html"));
  CHECK(count(page, "<article") == kMostExamples);
  CHECK(contains(page, "The folder has 3 more."));
}

TEST_CASE("report: stages that have segmented the same picture are side by side") {
  TempFolder folder;
  const auto write = [&](const char* stage, const char* id, const char* kind, bool truth) {
    SeenExample e{id, kind, {{1, "cat & <dog>"}}, Image(32, 24, 3), Image(32, 24, 3), {}};
    if (truth) e.truth = Image(32, 24, 3);
    write_seen_example(folder.path(std::string(stage) + "/examples"), e);
  };
  write("segment-boxes", "7", "objects", true);
  write("segment-truth", "7", "objects", true);
  write("segment-truth", "8", "objects", false);
  write("deeplab", "7", "classes", true);
  REQUIRE(run_command({"report", folder.path()}).status == 0);
  const std::string page = read_file(folder.path("report.html"));
  CHECK(!asks_for_something(page));
  CHECK(count(page, "<article") == 2);
  // Of 7 a row with two networks and one with one, each with photograph and truth; 8 has no truth.
  CHECK(count(page, "data:image/jpeg;base64,") == 4 + 3 + 2);
  const size_t first = page.find("Picture 7"), second = page.find("Picture 8");
  REQUIRE(first < second);
  const std::string seven = page.substr(first, second - first), eight = page.substr(second);
  size_t at = 0;
  for (const char* caption : {">photograph<", ">true objects<", ">segment-boxes<",
                              ">segment-truth<", ">true classes<", ">predicted classes<"}) {
    CHECK_MESSAGE(seven.find(caption, at) != std::string::npos, caption);
    at = seven.find(caption, at);
  }
  CHECK(contains(eight, ">predicted objects<"));
  CHECK(!contains(eight, ">true objects<"));
  CHECK(count(seven, "</i>cat &amp; &lt;dog&gt;</span>") == 1);
  write_file(folder.path("deeplab/examples/7/example.json"), "{");
  const auto result = run_command({"report", folder.path()});
  CHECK(result.status == 0);
  CHECK(contains(result.err, "example.json: is no JSON, or is cut off; left out"));
}

TEST_CASE("report: pieces that are missing are left out with a note") {
  TempFolder folder;
  make_folder(folder.path("objects"));
  Example bare = some_example("1");
  bare.maps.clear();
  bare.mask.reset();
  bare.truth.reset();
  bare.curve = {};
  bare.iou.clear();
  bare.detected.clear();
  write_example(folder.path("objects"), bare);
  CHECK(run_command({"report", folder.path(), "--out", folder.path("p.html")}).status == 0);
  const std::string page = read_file(folder.path("p.html"));
  for (const char* part :
       {"No table of results", "No training log", "No timings", "no attribution map", "labelled"})
    CHECK_MESSAGE(contains(page, part), part);
}

TEST_CASE("report: pieces that are damaged are told and left out") {
  TempFolder folder;
  write_run(folder.path());
  const std::string object = folder.path("objects/2007_000032-1");
  write_file(object + "/map_050.npy", "x");
  write_file(object + "/curve.csv", "iteration,total\n1,two\n");
  write_file(folder.path("train/log.csv"), "step,total\n1\n");
  make_folder(folder.path("objects/broken"));
  const auto result = run_command({"report", folder.path()});
  CHECK(result.status == 0);
  for (const char* part : {"map_050.npy", "curve.csv:2: 'two'", "log.csv:2: 1 numbers", "broken"})
    CHECK_MESSAGE(contains(result.err, part), part);
  CHECK(contains(read_file(folder.path("report.html")), "map after 300"));
  write_file(folder.path("run.json"), "{\"results\": {\"tables\": [{\"columns\": 3}]}}");
  CHECK(contains(run_command({"report", folder.path()}).err, "run.json"));
}

TEST_CASE("report: folders that cannot be shown") {
  TempFolder folder;
  CHECK(is_error(run_command({"report", folder.path("none")}), "none: no such folder"));
  CHECK(is_error(run_command({"report", folder.path()}), "holds no run.json"));
  write_run(folder.path());
  CHECK(is_error(run_command({"report", folder.path(), "--out", "/nowhere/p.html"}), "/nowhere"));
}

TEST_CASE("report: examples survive their folder") {
  TempFolder folder;
  const Example before = some_example("a/b");
  write_example(folder.path(), before);
  std::vector<std::string> problems;
  const Example after = read_example(folder.path("a_b-1"), problems);
  CHECK(problems.empty());
  CHECK(after.image_id == "a/b");
  CHECK(after.subject.box == before.subject.box);
  CHECK(after.labelled.size() == 2);
  CHECK(after.detected[0].score == 0.875);
  CHECK(after.labelled[1].score == -1);
  CHECK(after.iou == before.iou);
  CHECK(after.maps.at(300).to_vector<float>() == before.maps.at(300).to_vector<float>());
  CHECK(after.curve.rows == before.curve.rows);
  CHECK(after.mask->pixels == before.mask->pixels);
}
