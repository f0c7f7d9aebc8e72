#include "cli/seen_example.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "cli/draw.h"
#include "cli/segment_instances.h"
#include "cli/segment_semantic.h"
#include "datasets/mask_metrics.h"
#include "datasets/shapes.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::TempFolder;

namespace {

SeenExample some_example(const std::string& image_id) {
  return {image_id,         "objects",        {{2, "cat"}, {7, "dog & <hen>"}},
          Image(32, 24, 3), Image(32, 24, 3), Image(32, 24, 3)};
}

Image rectangle(ImageSize size, int x0, int y0, int x1, int y1, uint8_t value) {
  Image mask(size.width, size.height, 1);
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) *mask.at(x, y) = value;
  return mask;
}

Color at(const Image& image, int x, int y) {
  return {image.at(x, y)[0], image.at(x, y)[1], image.at(x, y)[2]};
}

}  // namespace

TEST_CASE("seen example: survives its folder, and takes the place of an older one") {
  TempFolder folder;
  SeenExample before = some_example("a/b");
  write_seen_example(folder.path(), before);
  SeenExample after = read_seen_example(folder.path("a_b"));
  CHECK(after.image_id == "a/b");
  CHECK(after.kind == "objects");
  CHECK(after.classes == before.classes);
  CHECK(after.photograph.size() == ImageSize{32, 24});
  REQUIRE(after.truth);
  before.truth.reset();
  write_seen_example(folder.path(), before);
  CHECK(!read_seen_example(folder.path("a_b")).truth);
}

TEST_CASE("seen example: what is damaged is refused by name") {
  TempFolder folder;
  write_seen_example(folder.path(), some_example("1"));
  write_jpeg(folder.path("1/truth.jpg"), Image(31, 24, 3));
  CHECK_THROWS_WITH_AS(read_seen_example(folder.path("1")),
                       doctest::Contains("truth.jpg: is not of the photograph's size"), Error);
  write_file(folder.path("1/example.json"), R"({"image": "1", "kind": "x", "classes": []})");
  CHECK_THROWS_WITH_AS(read_seen_example(folder.path("1")), doctest::Contains("kind 'x'"), Error);
  write_file(folder.path("1/example.json"), "{\"image\": 3}");
  CHECK_THROWS_WITH_AS(read_seen_example(folder.path("1")), doctest::Contains("example.json"),
                       Error);
}

TEST_CASE("seen example: only examples are removed") {
  TempFolder folder;
  write_seen_example(folder.path(), some_example("1"));
  make_folder(folder.path("mine"));
  remove_seen_examples(folder.path());
  remove_seen_examples(folder.path("none"));
  CHECK(!std::filesystem::exists(folder.path("1")));
  CHECK(std::filesystem::exists(folder.path("mine")));
}

TEST_CASE("seen example: records are spread evenly over those that have objects") {
  Dataset dataset;
  for (int i = 0; i < 20; ++i) {
    dataset.records.push_back({.id = std::to_string(i)});
    if (i % 2 == 1) dataset.records.back().objects.push_back({.box = {0, 0, 1, 1}, .label = 1});
  }
  const auto ids = [&](int most) {
    std::string list;
    for (const Record* record : spread_records(dataset, most)) list += record->id + " ";
    return list;
  };
  CHECK(ids(5) == "1 5 9 13 17 ");
  CHECK(ids(3) == "1 7 13 ");
  CHECK(ids(10) == ids(100));
  CHECK(ids(0) == "");
}

TEST_CASE("segment: found objects are drawn above the score, under the network's labels") {
  const ImageSize size{60, 40};
  Dataset dataset;
  dataset.classes = {"hen", "cat"};
  dataset.source_labels = {17, 4};  // as the files call them
  const Record record{.id = "r", .width = 60, .height = 40};
  const auto result = [&](const char* id, int category, double score, const Image& mask) {
    return Instance{.image_id = id,
                    .category = category,
                    .box = {0, 0, 30, 40},
                    .score = score,
                    .mask = rle_encode(equal_to(mask, 1))};
  };
  const Image left = rectangle(size, 5, 20, 25, 35, 1), right = rectangle(size, 35, 5, 55, 35, 1);
  const std::vector<Instance> results{result("r", 4, 0.9, left), result("r", 17, 0.5, right),
                                      result("s", 17, 0.9, right)};
  const auto found = found_objects(dataset, record, results, 0.5);
  REQUIRE(found.size() == 1);
  CHECK(found[0].label == 2);
  CHECK(found[0].mask.pixels == left.pixels);
  Image picture(60, 40, 3);
  CHECK(draw_objects(picture, found, dataset.classes) == std::set<int>{2});
  CHECK(at(picture, 5, 25) == class_color(2));  // the mask's edge
  CHECK(at(picture, 15, 27) != Color{0, 0, 0});
  CHECK(at(picture, 45, 20) == Color{0, 0, 0});
}

TEST_CASE("segment: class maps are drawn without void, and read back with the network's labels") {
  TempFolder folder;
  Image map = rectangle({60, 40}, 5, 5, 25, 35, 2);
  *map.at(0, 0) = 255;
  Image picture(60, 40, 3);
  CHECK(draw_class_map(picture, map) == std::set<int>{2});
  CHECK(at(picture, 5, 20) == class_color(2));
  CHECK(at(picture, 0, 0) == Color{0, 0, 0});
  Dataset dataset;
  dataset.classes = {"hen", "cat"};
  dataset.source_labels = {17, 4};
  write_label_png(folder.path("r.png"), rectangle({60, 40}, 5, 5, 25, 35, 4));
  *map.at(0, 0) = 0;
  CHECK(written_class_map(dataset, {.id = "r"}, folder.path()).pixels == map.pixels);
}

TEST_CASE("segment: true objects have no score, and crowds are left out") {
  TempFolder folder;
  write_shapes(folder.path("shapes"), {.train = 1, .val = 3, .width = 96, .height = 72});
  Dataset dataset = read_dataset(folder.path("shapes"), "val");
  for (Record& record : dataset.records) {
    const auto masks = read_masks(record);
    const auto objects = true_objects(record);
    REQUIRE(objects.size() == masks.size());
    for (size_t i = 0; i < masks.size(); ++i) {
      CHECK(objects[i].mask.pixels == masks[i].pixels);
      CHECK(objects[i].label == record.objects[i].label);
      CHECK(objects[i].score == -1);
    }
    record.objects[0].crowd = true;
    CHECK(true_objects(record).size() == masks.size() - 1);
  }
}
