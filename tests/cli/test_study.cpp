#include "cli/study.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/explain_fixture.h"

using namespace bbam;

namespace {

// A dark disc of radius 60 in a bright picture; its map is a hill.
Image disc_picture(bool truth) {
  Image image(240, 180, truth ? 1 : 3);
  for (int y = 0; y < 180; ++y)
    for (int x = 0; x < 240; ++x) {
      const bool inside = (x - 120) * (x - 120) + (y - 90) * (y - 90) < 60 * 60;
      for (int c = 0; c < image.channels; ++c)
        image.at(x, y)[c] =
            truth ? uint8_t(inside) : uint8_t((inside ? 60 : 190) + (7 * x + 3 * y + c) % 4);
    }
  return image;
}

Tensor hill() {
  std::vector<float> map;
  for (int i = 0; i < 9; ++i)
    for (int j = 0; j < 12; ++j) {
      const double y = 20 * i + 10 - 90, x = 20 * j + 10 - 120;
      map.push_back(float(0.3 * std::exp(-(x * x + y * y) / (2.0 * 50 * 50))));
    }
  return Tensor::from(map, {9, 12});
}

// How much of the sheet's first cell is the plain ground.
double plain_share(const Image& sheet) {
  int plain = 0;
  for (int y = 44; y < 224; ++y)
    for (int x = 8; x < 248; ++x) {
      const uint8_t* pixel = sheet.at(x, y);
      plain += std::all_of(pixel, pixel + 3, [](int v) { return std::abs(v - 128) < 8; });
    }
  return plain / (240.0 * 180);
}

}  // namespace

TEST_CASE("study: a filled box, a map and their refinements are told apart on a disc") {
  Study study{StudySpec()};
  const PixelBox box{60, 30, 180, 150};
  study.add(disc_picture(false),
            {{hill(), box, disc_picture(true)}, {Tensor(), box, disc_picture(true)}});
  CHECK(study.objects() == 1);
  CHECK(study.best("filled box").mean() == doctest::Approx(3.14159 / 4).epsilon(0.01));
  CHECK(study.best("map").mean() > 0.85);
  CHECK(study.best("map, authors' label step").mean() > 0.95);
  CHECK(study.best("map by extremes, paper's label step").mean() > 0.95);
  CHECK_THROWS_AS(study.best("other"), Error);
  // 60² π pixels are COCO's large.
  const StudyColumn& box_alone = study.columns()[0];
  const auto ranges = coco_area_ranges();
  CHECK(study.objects(ranges[0]) == 1);
  CHECK(study.objects(ranges[1]) == 0);
  CHECK(study.mean(box_alone, ranges[1]) == -1);
  CHECK(study.mean(box_alone, ranges[3]) == box_alone.mean());
}

TEST_CASE("study: METHOD A13, figure 6(b), where maps are high on their objects") {
  // One high cell in the middle of the disc, or to the left on its outline.
  const auto study_of = [](size_t col) {
    std::vector<float> map(size_t(9 * 12), 0.f);
    map[4 * 12 + col] = 1;
    Study study{StudySpec()};
    study.add(disc_picture(false),
              {{Tensor::from(map, {9, 12}), {60, 30, 180, 150}, disc_picture(true)}});
    return study;
  };
  const Study middle = study_of(5), outline = study_of(2);
  CHECK(middle.positions().pixels() > 0);
  CHECK(middle.positions().mean_length() < 0.3);
  CHECK(middle.positions().share_near_boundary() == 0);
  CHECK(outline.positions().mean_length() > 0.75);
}

TEST_CASE("study: METHOD A7, masks that a second attempt made from the box are counted") {
  std::vector<float> elsewhere(size_t(9 * 12), 0.f);
  elsewhere[0] = 1;
  StudySpec spec;
  spec.thetas = {0.85, 0.2};
  Study study(spec);
  // 3600 of 43200 pixels: under 1/10 of the picture; the second box is over it.
  const Tensor map = Tensor::from(elsewhere, {9, 12});
  study.add(disc_picture(false), {{map, {90, 60, 150, 120}, disc_picture(true)},
                                  {map, {60, 30, 180, 150}, disc_picture(true)}});
  for (const StudyColumn& column : study.columns()) {
    const bool is_authors = column.family == "map, authors' label step";
    CAPTURE(column.family);
    CHECK(column.from_boxes == (is_authors ? 1 : 0));
    if (!is_authors) continue;
    CHECK(column.iou[0] > 0.2);
    CHECK(column.iou[1] == 0);
  }
}

TEST_CASE("study command: objects meet their truth, whichever classes the labels were made with") {
  const test::ExplainFixture fixture;
  const std::string labels = fixture.folder.path("o"), out = fixture.folder.path("study");
  REQUIRE(fixture.label("o", {"--classes", "disc"}).status == 0);
  const auto results = [](const std::string& folder) {
    return nlohmann::json::parse(read_file(folder + "/run.json"))["results"];
  };
  for (const char* classes : {"", "disc"}) {
    std::vector<std::string> arguments{"study", labels, "--data",  fixture.data,
                                       "--out", out,    "--sheet", "2"};
    if (*classes != 0) arguments.insert(arguments.end(), {"--classes", classes});
    const test::CommandResult result = test::run_command(arguments);
    INFO(result.err);
    REQUIRE(result.status == 0);
    const nlohmann::json study = results(out)["study"];
    CHECK(study["objects"] == results(labels)["objects"]);
    CHECK(study["columns"][0]["from"] == "filled box");
    const nlohmann::json table = results(out)["tables"][0];
    CHECK(table["title"] == "Masks, with and without maps");
    CHECK(table["rows"][0][0] == "filled box");
    CHECK(table["rows"][0].size() == table["columns"].size());
    CHECK(study["columns"][0]["mean_iou"].get<double>() ==
          doctest::Approx(results(labels)["mean_box_iou"].get<double>()));
    const std::string shown = results(out)["pictures"][0]["file"];
    const Image sheet = read_image(out + "/" + shown);
    const Image without_photographs = read_image(out + "/sheet_plain.jpg");
    CHECK(sheet.height > 360);
    CHECK(without_photographs.size() == sheet.size());
    CHECK(plain_share(without_photographs) > 0.7);
    CHECK(plain_share(sheet) < 0.2);
    const nlohmann::json record = nlohmann::json::parse(read_file(out + "/run.json"));
    CHECK(record["inputs"][1]["path"] == fixture.data);
    CHECK(record["seconds"].contains("compare"));
    const nlohmann::json by_size = study["by_size"];
    CHECK(by_size[0]["from"] == "filled box");
    CHECK(by_size[0]["all"] == study["columns"][0]["mean_iou"]);
    CHECK(study["positions"]["histogram"].size() == 64);
    CHECK(results(out)["tables"][1]["rows"][0][2] == std::to_string(int(study["objects"])));
  }
  const test::CommandResult none = test::run_command(
      {"study", labels, "--data", fixture.data, "--out", out, "--classes", "ring"});
  CHECK(none.status == 1);
  CHECK(test::contains(none.err, "has no maps of objects of this split"));
}
