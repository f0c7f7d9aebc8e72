#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "datasets/shapes.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

int64_t count_of(const Image& map, int64_t id) {
  return std::count(map.pixels.begin(), map.pixels.end(), uint8_t(id));
}

double saturation(const uint8_t* rgb) {
  const double most = std::max({rgb[0], rgb[1], rgb[2]}),
               least = std::min({rgb[0], rgb[1], rgb[2]});
  return most > 0 ? (most - least) / most : 0;
}

}  // namespace

TEST_CASE("shapes: boxes are the tight boxes of the masks, maps agree") {
  for (uint64_t index = 0; index < 20; ++index) {
    CAPTURE(index);
    const Scene scene = draw_scene({.max_objects = 6, .seed = 2}, index);
    REQUIRE(scene.picture.size() == ImageSize{192, 144});
    REQUIRE(scene.object_map.size() == scene.picture.size());
    REQUIRE(!scene.objects.empty());
    REQUIRE(scene.objects.size() <= 6);
    for (const Object& object : scene.objects) {
      std::set<int> columns, rows;
      for (int y = 0; y < 144; ++y)
        for (int x = 0; x < 192; ++x)
          if (scene.object_map.at(x, y)[0] == object.id) {
            columns.insert(x);
            rows.insert(y);
            REQUIRE(scene.class_map.at(x, y)[0] == object.label);
          }
      REQUIRE(!columns.empty());
      CHECK(object.box == PixelBox{float(*columns.begin()), float(*rows.begin()),
                                   float(*columns.rbegin() + 1), float(*rows.rbegin() + 1)});
    }
    CHECK(count_of(scene.object_map, 0) == count_of(scene.class_map, 0));
    CHECK(count_of(scene.object_map, kVoid) == 0);
  }
}

TEST_CASE("shapes: masks are far from filling their boxes, classes are even, colours stand out") {
  double fill = 0, inside = 0, outside = 0;
  int64_t objects = 0, inside_count = 0, outside_count = 0;
  std::map<int, int> per_class;
  std::set<size_t> per_picture;
  for (uint64_t index = 0; index < 150; ++index) {
    const Scene scene = draw_scene({}, index);
    per_picture.insert(scene.objects.size());
    for (const Object& object : scene.objects) {
      fill += double(count_of(scene.object_map, object.id)) / object.box.area();
      ++per_class[object.label];
      ++objects;
    }
    for (size_t i = 0; i < scene.object_map.pixels.size(); ++i) {
      const bool ground = scene.object_map.pixels[i] == 0;
      (ground ? outside : inside) += saturation(&scene.picture.pixels[3 * i]);
      ++(ground ? outside_count : inside_count);
    }
  }
  CHECK(fill / double(objects) > 0.5);
  CHECK(fill / double(objects) < 0.65);
  REQUIRE(per_class.size() == shape_classes().size());
  for (const auto& [label, count] : per_class) CHECK(count * 5 > objects * 0.7);
  CHECK(per_picture == std::set<size_t>{1, 2, 3, 4});
  CHECK(inside / double(inside_count) > outside / double(outside_count) + 0.3);
}

TEST_CASE("shapes: a scene depends on seed and index alone") {
  const Scene scene = draw_scene({.seed = 5}, 3);
  CHECK(scene.picture.pixels == draw_scene({.train = 7, .val = 9, .seed = 5}, 3).picture.pixels);
  CHECK(scene.picture.pixels != draw_scene({.seed = 6}, 3).picture.pixels);
  CHECK(scene.picture.pixels != draw_scene({.seed = 5}, 4).picture.pixels);
  const Scene tall = draw_scene({.width = 50, .height = 97, .max_objects = 1}, 0);
  CHECK(tall.picture.size() == ImageSize{50, 97});
  CHECK(tall.objects.size() == 1);
}

TEST_CASE("shapes: the files read back as a VOC data set with exact masks") {
  const test::TempFolder folder;
  const ShapesOptions options{.train = 5, .val = 3, .width = 96, .height = 72, .seed = 4};
  int told = 0;
  write_shapes(folder.path(), options, [&](int done, int total) {
    CHECK(done == ++told);
    CHECK(total == 8);
  });
  CHECK(told == 8);
  const Dataset train = read_dataset(folder.path(), "train");
  const Dataset val = read_dataset(folder.path(), "Segmentation/val");
  CHECK(train.classes == shape_classes());
  CHECK(train.problems.empty());
  REQUIRE(train.records.size() == 5);
  REQUIRE(val.records.size() == 3);
  CHECK(val.records[0].id == "000006");
  for (size_t i = 0; i < 5; ++i) {
    const Scene scene = draw_scene(options, i);
    const Record& record = train.records[i];
    REQUIRE(record.objects.size() == scene.objects.size());
    const auto masks = read_masks(record);
    for (size_t k = 0; k < masks.size(); ++k) {
      CHECK(record.objects[k].box == scene.objects[k].box);
      CHECK(record.objects[k].label == scene.objects[k].label);
      CHECK(count_of(masks[k], 1) == count_of(scene.object_map, int64_t(k) + 1));
    }
    CHECK(read_class_map(train, record).pixels == scene.class_map.pixels);
    const Image picture = read_image(record.image_path);
    double difference = 0;
    for (size_t p = 0; p < picture.pixels.size(); ++p)
      difference += std::abs(int(picture.pixels[p]) - int(scene.picture.pixels[p]));
    CHECK(difference / double(picture.pixels.size()) < 4);
  }
  // More training pictures leave those of val as they are.
  const test::TempFolder more;
  write_shapes(more.path(), {.train = 6, .val = 3, .width = 96, .height = 72, .seed = 4});
  CHECK(read_file(more.path("JPEGImages/000007.jpg")) ==
        read_file(folder.path("JPEGImages/000006.jpg")));
}

TEST_CASE("shapes: options that make no sense") {
  CHECK_THROWS_AS(draw_scene({.width = 8}, 0), Error);
  CHECK_THROWS_AS(draw_scene({.max_objects = 0}, 0), Error);
  CHECK_THROWS_AS(draw_scene({.train = 0}, 0), Error);
  CHECK_THROWS_WITH_AS(write_shapes("/dev/null/x", {}),
                       doctest::Contains("this folder cannot be made"), Error);
}
