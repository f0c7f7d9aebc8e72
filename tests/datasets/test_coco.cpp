#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "datasets/coco.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/shared.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

const std::string kCategories =
    R"("categories":[{"id":7,"name":"train"},{"id":1,"name":"person"},{"id":90,"name":"brush"}])";
const std::string kImages = R"("images":[{"id":42,"file_name":"a.jpg","width":8,"height":6},)"
                            R"({"id":43,"file_name":"a.jpg","width":8,"height":6}])";

// A COCO folder with one small picture; read() writes and reads an annotation file.
struct CocoFolder {
  test::TempFolder folder;

  CocoFolder() {
    make_folder(folder.path("annotations"));
    make_folder(folder.path("val"));
    write_jpeg(folder.path("val/a.jpg"), Image(8, 6, 3));
  }
  Dataset read_text(const std::string& json, const DatasetOptions& options = {}) const {
    write_file(folder.path("annotations/instances_val.json"), json);
    return read_dataset(folder.path(), "val", options);
  }
  Dataset read(const std::string& annotations, const DatasetOptions& options = {}) const {
    return read_text("{" + kCategories + "," + kImages + R"(,"annotations":[)" + annotations + "]}",
                     options);
  }
};

doctest::String problem_of(const std::string& annotation) {
  const Dataset dataset = CocoFolder().read(annotation);
  REQUIRE(dataset.problems.size() == 1);
  CHECK(dataset.records.size() == 2);
  return dataset.problems[0].c_str();
}

std::vector<int> values(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

}  // namespace

TEST_CASE("coco: categories with gaps, boxes, crowds, polygons and both kinds of runs") {
  const Dataset dataset = CocoFolder().read(
      R"({"id":1,"image_id":42,"category_id":7,"bbox":[1,2,3,2],"area":6.5,"iscrowd":0,)"
      R"("segmentation":[[1,2,4,2,4,4,1,4]]},)"
      R"({"id":2,"image_id":43,"category_id":90,"bbox":[0,0,8,6],"iscrowd":1,)"
      R"("segmentation":{"size":[6,8],"counts":[40,8]}},)"
      R"({"id":3,"image_id":42,"category_id":1,"bbox":[0.5,0,2.25,6],)"
      R"("segmentation":{"size":[6,8],"counts":"0`1"}})");
  CHECK(dataset.problems.empty());
  CHECK(dataset.classes == std::vector<std::string>{"person", "train", "brush"});
  CHECK(dataset.source_labels == std::vector<int>{1, 7, 90});
  REQUIRE(dataset.records.size() == 2);
  const Record& record = dataset.records[0];
  CHECK(record.id == "42");
  REQUIRE(record.objects.size() == 2);
  CHECK(record.objects[0].label == 2);
  CHECK(record.objects[0].box == PixelBox{1, 2, 4, 4});
  CHECK(record.objects[0].area_px == 6.5);
  CHECK(record.objects[1].label == 1);
  CHECK(record.objects[1].box == PixelBox{0.5f, 0, 2.75f, 6});
  CHECK(record.objects[1].area_px == 13.5);
  CHECK(record.objects[1].id == 3);

  const auto masks = read_masks(record);
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 8; ++x)
      CHECK(int(masks[0].at(x, y)[0]) == int(x >= 1 && x < 4 && y >= 2 && y < 4));
  CHECK(values(masks[1]) == std::vector<int>(48, 1));  // counts 0, 48: everything
  // The larger person is painted first, the train over it.
  const Image classes = read_class_map(dataset, record);
  CHECK(int(classes.at(2, 2)[0]) == 2);
  CHECK(int(classes.at(0, 0)[0]) == 1);

  const Object& crowd = dataset.records[1].objects.at(0);
  CHECK(crowd.crowd);
  const Image crowd_map = read_class_map(dataset, dataset.records[1]);
  CHECK(std::count(crowd_map.pixels.begin(), crowd_map.pixels.end(), kVoid) == 8);
}

TEST_CASE("coco: kept classes, pictures without objects") {
  const CocoFolder coco;
  const std::string annotations =
      R"({"id":1,"image_id":42,"category_id":7,"bbox":[1,2,3,2]},)"
      R"({"id":2,"image_id":43,"category_id":1,"bbox":[1,2,3,2],"iscrowd":1},)"
      R"({"id":3,"image_id":42,"category_id":90,"bbox":[1,2,3,2]})";
  const Dataset kept = coco.read(annotations, {.classes = {"brush"}});
  CHECK(kept.source_labels == std::vector<int>{90});
  CHECK(kept.records.size() == 2);
  REQUIRE(kept.records[0].objects.size() == 1);
  CHECK(kept.records[0].objects[0].label == 1);
  // A crowd alone does not count as an object to learn from.
  CHECK(coco.read(annotations, {.keep_images_without_objects = false}).records.size() == 1);
  CHECK_THROWS_WITH_AS(coco.read(annotations, {.classes = {"cat"}}),
                       doctest::Contains("its classes are: person, train, brush"), Error);
  CHECK(coco.read("").records.size() == 2);
}

TEST_CASE("coco: a bad annotation is told and passed over") {
  using doctest::Contains;
  const auto annotation = [](const std::string& fields) {
    return R"({"id":5,"image_id":42,"category_id":1)" + fields + "}";
  };
  CHECK(problem_of("7") == Contains("annotation without an id: it has no \"category_id\""));
  CHECK(problem_of(annotation("")) == Contains("annotation 5: it has no \"bbox\"; passed over"));
  CHECK(problem_of(R"({"id":5,"image_id":1,"category_id":1})") ==
        Contains("its image 1 is not in \"images\""));
  CHECK(problem_of(R"({"id":5,"image_id":42,"category_id":2})") ==
        Contains("its category 2 is not in \"categories\""));
  CHECK(problem_of(R"({"id":5,"image_id":"x","category_id":1})") ==
        Contains("\"image_id\" is string; expected an integer"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,3])")) == Contains("\"bbox\" has 3 numbers"));
  CHECK(problem_of(annotation(R"(,"bbox":{"x":1})")) == Contains("\"bbox\" is object"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,null,4])")) == Contains("\"bbox\" holds null"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,1e300,4])")) == Contains("\"bbox\" holds 1e+300"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,0,4])")) == Contains("has no area; passed over"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,-3,4])")) == Contains("has no area; passed over"));
  CHECK(problem_of(annotation(R"(,"bbox":[9,0,4,4])")) == Contains("lies outside the picture"));
  CHECK(problem_of(annotation(R"(,"bbox":[4,0,9,4])")) == Contains("clipped to it"));
  const std::string box = R"(,"bbox":[1,2,3,4],"segmentation":)";
  CHECK(problem_of(annotation(box + "3")) == Contains("\"segmentation\" is number"));
  CHECK(problem_of(annotation(R"(,"bbox":[1,2,3,4],"area":-1)")) ==
        Contains("instances_val.json: annotation 5: \"area\" is -1; expected 0 or more"));
  CHECK(problem_of(R"({"id":5,"image_id":42,"category_id":4294967297})") ==
        Contains("annotation 5: its category 4294967297 is not in"));
  CHECK(problem_of(annotation(box + R"({"size":[8,6],"counts":[48]})")) ==
        Contains("the mask's size is [8,6]; its picture's is [6,8]"));
  CHECK(problem_of(annotation(box + R"({"size":[6,8]})")) == Contains("it has no \"counts\""));
  CHECK(problem_of(annotation(box + R"({"size":[6,8],"counts":[1.5]})")) ==
        Contains("\"counts\" holds 1.5"));
  CHECK(problem_of(annotation(box + R"({"size":[6,8],"counts":[50]})")) == Contains("passed over"));
  CHECK(problem_of(annotation(box + R"({"size":[6,8],"counts":"~~"})")) == Contains("passed over"));
}

TEST_CASE("coco: a polygon that encloses nothing costs neither the box nor the other polygons") {
  const auto read = [](const std::string& polygons) {
    return CocoFolder().read(
        R"({"id":5,"image_id":42,"category_id":1,"bbox":[1,2,3,2],"segmentation":)" + polygons +
        "}");
  };
  for (const char* bad : {"[1,2,3,4]", "[1,2,3,4,5,6,7]", "[]"}) {
    const Dataset dataset = read(std::string("[") + bad + ",[1,2,4,2,4,4,1,4]]");
    REQUIRE(dataset.records[0].objects.size() == 1);
    const auto masks = read_masks(dataset.records[0]);
    CHECK(std::count(masks[0].pixels.begin(), masks[0].pixels.end(), 1) == 6);
    REQUIRE(dataset.problems.size() == 1);
    CHECK(doctest::String(dataset.problems[0].c_str()) ==
          doctest::Contains("annotation 5: a polygon of"));
  }
  const Dataset none = read("[[1,2,3,4]]");
  CHECK(none.records[0].objects.size() == 1);
  CHECK(!has_masks(none.records[0]));
}

TEST_CASE("coco: bad images and files") {
  using doctest::Contains;
  const CocoFolder coco;
  const auto read_images = [&](const std::string& images) {
    return coco.read_text("{" + kCategories + R"(,"annotations":[],"images":[)" + images + "]}");
  };
  const std::string good = R"({"id":1,"file_name":"a.jpg","width":8,"height":6})";
  for (const auto& [bad, what] : std::map<std::string, std::string>{
           {R"({"id":2,"file_name":"b.jpg","width":8,"height":6})", "b.jpg: no such picture"},
           {R"({"id":2,"file_name":"a.jpg","width":0,"height":6})", "its size is 0 x 6 pixels"},
           {R"({"id":2,"file_name":7,"width":8,"height":6})", "\"file_name\" is number"},
           {R"({"id":1,"file_name":"a.jpg","width":8,"height":6})", "a second one of this id"},
           {R"({"file_name":"a.jpg"})", "image without an id: it has no \"id\""}}) {
    const Dataset dataset = read_images(good + "," + bad);
    CHECK(dataset.records.size() == 1);
    REQUIRE(dataset.problems.size() == 1);
    CHECK(doctest::String(dataset.problems[0].c_str()) == Contains(what.c_str()));
    CHECK(dataset.pictures_passed_over == 1);
  }
  CHECK(read_images(good).pictures_passed_over == 0);
  CHECK_THROWS_WITH_AS(read_images(R"({"id":1})"), Contains("none of its 1 pictures can be used"),
                       Error);
  CHECK_THROWS_WITH_AS(read_images(""), Contains("instances_val.json: names no pictures"), Error);
  CHECK_THROWS_WITH_AS(coco.read_text("{\"images\":["), Contains("instances_val.json: is not JSON"),
                       Error);
  CHECK_THROWS_WITH_AS(coco.read_text(""), Contains("is not JSON"), Error);
  CHECK_THROWS_WITH_AS(coco.read_text("[]"),
                       Contains("instances_val.json: it has no \"categories\""), Error);
  CHECK_THROWS_WITH_AS(coco.read_text(R"({"categories":[]})"), Contains("\"categories\" is empty"),
                       Error);
  CHECK_THROWS_WITH_AS(coco.read_text("{" + kCategories + R"(,"images":3})"),
                       Contains("\"images\" is number; expected a list"), Error);
  CHECK_THROWS_WITH_AS(
      coco.read_text(R"({"categories":[{"id":1,"name":"a"},{"id":1,"name":"b"}]})"),
      Contains("two categories have the id 1"), Error);
  CHECK_THROWS_WITH_AS(read_dataset(coco.folder.path(), "test"),
                       Contains("instances_test.json: no such file"), Error);
}

TEST_CASE("dataset: a box that is not finite is passed over, not clipped") {
  const float nan = std::nanf(""), inf = HUGE_VALF;
  for (const PixelBox bad :
       {PixelBox{0, 0, inf, 50}, {-inf, 0, 9, 9}, {0, 0, 9, inf}, {nan, 0, 9, 9}}) {
    PixelBox box = bad;
    std::vector<std::string> problems;
    CHECK(!clip_box(box, {40, 30}, "x.xml", problems));
    REQUIRE(problems.size() == 1);
    CHECK(doctest::String(problems[0].c_str()) == doctest::Contains("is not finite; passed over"));
  }
}

TEST_CASE("dataset: a plain folder of pictures is no data set") {
  const test::TempFolder folder;
  write_jpeg(folder.path("b.JPG"), Image(8, 6, 3));
  write_png(folder.path("a.png"), Image(3, 4, 1));
  write_file(folder.path("notes.txt"), "not a picture");
  CHECK(pictures_in(folder.path()) ==
        std::vector<std::string>{folder.path("a.png"), folder.path("b.JPG")});
  CHECK_THROWS_WITH_AS(read_dataset(folder.path(), "val"),
                       doctest::Contains("neither VOC layout (ImageSets/val.txt) nor COCO layout"),
                       Error);
  CHECK_THROWS_WITH_AS(read_dataset(folder.path("none"), ""), doctest::Contains("no such folder"),
                       Error);
  CHECK_THROWS_WITH_AS(pictures_in(folder.path("none")), doctest::Contains("no such folder"),
                       Error);
  const test::TempFolder empty;
  CHECK_THROWS_WITH_AS(pictures_in(empty.path()), doctest::Contains("holds no .jpg"), Error);
}

TEST_CASE("coco: the real subset has the objects that its description counts") {
  const std::string root = test::shared_path("data/coco2017_subset");
  BBAM_SKIP_WITHOUT(root, "the COCO subset");
  struct Expected {
    const char* split;
    size_t images, objects, crowds;
    std::map<std::string, int> per_class;  // without crowds
  };
  const Expected expected[] = {
      {"train2017", 89, 1031, 8, {{"airplane", 14}, {"cat", 6}, {"person", 176}, {"tv", 8}}},
      {"val2017", 45, 497, 7, {{"airplane", 4}, {"cat", 1}, {"person", 114}, {"sheep", 9}}}};
  for (const Expected& e : expected) {
    CAPTURE(e.split);
    const Dataset dataset = read_dataset(root, e.split);
    CHECK(dataset.classes.size() == 80);
    CHECK(dataset.source_labels.back() == 90);
    CHECK(dataset.records.size() == e.images);
    size_t objects = 0, crowds = 0;
    std::map<std::string, int> per_class;
    for (const Record& record : dataset.records) {
      CHECK(has_masks(record));
      objects += record.objects.size();
      for (const Object& object : record.objects) {
        crowds += object.crowd;
        if (!object.crowd) ++per_class[dataset.name_of(object)];
      }
    }
    CHECK(objects == e.objects);
    CHECK(crowds == e.crowds);
    for (const auto& [name, count] : e.per_class) CHECK(per_class[name] == count);
    CHECK(dataset.problems.empty());
    // The annotated area is that of the polygons; rasterising them changes it little.
    const Record& record = dataset.records[3];
    const auto masks = read_masks(record);
    for (size_t k = 0; k < masks.size(); ++k) {
      const double area = double(std::count(masks[k].pixels.begin(), masks[k].pixels.end(), 1));
      const double annotated = record.objects[k].area_px;
      CHECK(std::abs(area - annotated) <= 0.1 * annotated + 20);
    }
  }
}
