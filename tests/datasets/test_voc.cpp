#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "datasets/voc.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/shared.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

std::string object_xml(const std::string& name, const std::string& bounds,
                       const std::string& more = "") {
  return "<object><name>" + name + "</name>" + more + "<bndbox>" + bounds + "</bndbox></object>";
}

std::string bounds_xml(const std::string& x0, const std::string& y0, const std::string& x1,
                       const std::string& y1) {
  return "<xmin>" + x0 + "</xmin><ymin>" + y0 + "</ymin><xmax>" + x1 + "</xmax><ymax>" + y1 +
         "</ymax>";
}

std::string annotation_xml(const std::string& objects) {
  return "<annotation><size><width>40</width><height>30</height></size>" + objects +
         "</annotation>";
}

// A VOC folder to which a test adds pictures.
struct VocFolder {
  test::TempFolder folder;
  std::string ids;

  VocFolder() {
    for (const char* name : {"JPEGImages", "Annotations", "ImageSets/Main",
                             "ImageSets/Segmentation", "SegmentationClass", "SegmentationObject"})
      make_folder(folder.path(name));
  }
  void add(const std::string& id, const std::string& xml) {
    write_jpeg(folder.path("JPEGImages/" + id + ".jpg"), Image(40, 30, 3));
    write_file(folder.path("Annotations/" + id + ".xml"), xml);
    ids += id + "\n";
  }
  Dataset read(const DatasetOptions& options = {}) {
    write_file(folder.path("ImageSets/Main/train.txt"), ids);
    return read_voc(folder.path(), "train", options);
  }
  // Adds a good picture and one with these objects; the problem that is told about the second.
  doctest::String problem_of(const std::string& xml) {
    add("good", annotation_xml(object_xml("cat", bounds_xml("1", "1", "5", "5"))));
    add("bad", xml);
    const Dataset dataset = read();
    REQUIRE(dataset.problems.size() == 1);
    CHECK(dataset.pictures_passed_over == 2 - int64_t(dataset.records.size()));
    return dataset.problems[0].c_str();
  }
};

}  // namespace

TEST_CASE("voc: boxes become half-open from 0, parts of objects are not objects") {
  VocFolder voc;
  voc.add("a", annotation_xml(
                   object_xml("dog", bounds_xml("11", "21", "15", "29"),
                              "<difficult>1</difficult>"
                              "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>") +
                   object_xml(" person ", bounds_xml(" 1", "1", "40.5", "30\n"))));
  voc.add("empty", annotation_xml(""));
  const Dataset dataset = voc.read();
  CHECK(dataset.problems.empty());
  CHECK(dataset.classes.size() == 20);
  REQUIRE(dataset.records.size() == 2);
  const Record& record = dataset.records[0];
  CHECK(record.size() == ImageSize{40, 30});
  REQUIRE(record.objects.size() == 2);
  CHECK(record.objects[0].box == PixelBox{10, 20, 15, 29});
  CHECK(record.objects[0].label == 12);
  CHECK(record.objects[0].difficult);
  CHECK(record.objects[0].area_px == 45);
  CHECK(record.objects[1].box == PixelBox{0, 0, 40, 30});  // half a pixel too wide: clipped
  CHECK(record.objects[1].id == 2);
  CHECK_FALSE(record.objects[1].difficult);
  CHECK(dataset.records[1].objects.empty());
  CHECK(voc.read({.keep_images_without_objects = false}).records.size() == 1);
}

TEST_CASE("voc: kept classes are relabelled in the order given") {
  VocFolder voc;
  voc.add("a", annotation_xml(object_xml("dog", bounds_xml("1", "1", "9", "9")) +
                              object_xml("cat", bounds_xml("11", "11", "19", "19")) +
                              object_xml("sofa", bounds_xml("1", "21", "9", "29"))));
  voc.add("b", annotation_xml(object_xml("sofa", bounds_xml("1", "1", "9", "9"))));
  Image map(40, 30, 1);
  map.pixels[0] = 12;   // dog
  map.pixels[1] = 8;    // cat
  map.pixels[2] = 18;   // sofa
  map.pixels[3] = 255;  // void
  write_label_png(voc.folder.path("SegmentationClass/a.png"), map);

  const DatasetOptions options{.classes = {"dog", "cat"}};
  const Dataset dataset = voc.read(options);
  CHECK(dataset.problems.empty());
  CHECK(dataset.source_labels == std::vector<int>{12, 8});
  REQUIRE(dataset.records.size() == 2);
  REQUIRE(dataset.records[0].objects.size() == 2);
  CHECK(dataset.records[0].objects[0].label == 1);
  CHECK(dataset.records[0].objects[1].label == 2);
  CHECK(dataset.records[0].objects[1].id == 2);
  CHECK(dataset.label_of("cat") == 2);
  const Image kept = read_class_map(dataset, dataset.records[0]);
  CHECK(std::vector<int>(kept.pixels.begin(), kept.pixels.begin() + 5) ==
        std::vector<int>{1, 2, 0, 255, 0});

  CHECK(voc.read({.classes = {"dog"}, .keep_images_without_objects = false}).records.size() == 1);
  CHECK_THROWS_WITH_AS(voc.read({.classes = {"unicorn"}}),
                       doctest::Contains("has no class \"unicorn\"; its classes are: aeroplane,"),
                       Error);
  CHECK_THROWS_WITH_AS(voc.read({.classes = {"cat", "cat"}}), doctest::Contains("given twice"),
                       Error);
  CHECK_THROWS_WITH_AS(voc.read({.classes = {"bus"}, .keep_images_without_objects = false}),
                       doctest::Contains("none of its 2 pictures has an object"), Error);
}

TEST_CASE("voc: classes.txt replaces VOC's classes") {
  VocFolder voc;
  write_file(voc.folder.path("classes.txt"), "disc\r\nstar\n\n");
  voc.add("a", annotation_xml(object_xml("star", bounds_xml("1", "1", "9", "9"))));
  const Dataset dataset = voc.read();
  CHECK(dataset.classes == std::vector<std::string>{"disc", "star"});
  CHECK(dataset.records[0].objects[0].label == 2);
}

TEST_CASE("voc: masks come from the object map, void included") {
  VocFolder voc;
  voc.add("a", annotation_xml(object_xml("dog", bounds_xml("1", "1", "0", "9")) +
                              object_xml("cat", bounds_xml("1", "1", "9", "9"))));
  Image map(40, 30, 1);
  map.pixels[0] = 1;
  map.pixels[1] = 2;
  map.pixels[2] = 255;
  write_label_png(voc.folder.path("SegmentationObject/a.png"), map);
  const Dataset dataset = voc.read();
  REQUIRE(dataset.records[0].objects.size() == 1);  // the dog's box has no area
  CHECK(has_masks(dataset.records[0]));
  const auto masks = read_masks(dataset.records[0]);
  REQUIRE(masks.size() == 1);
  CHECK(std::vector<int>(masks[0].pixels.begin(), masks[0].pixels.begin() + 4) ==
        std::vector<int>{0, 1, 255, 0});

  write_label_png(voc.folder.path("SegmentationObject/a.png"), Image(40, 29, 1));
  CHECK_THROWS_WITH_AS(read_masks(dataset.records[0]),
                       doctest::Contains("a.png: is 40 x 29 pixels; its picture is 40 x 30"),
                       Error);
}

TEST_CASE("voc: split lists") {
  VocFolder voc;
  for (const char* id : {"a", "b", "c"}) voc.add(id, annotation_xml(""));
  voc.read();
  const auto ids = [&](const std::string& split) {
    std::string text;
    for (const Record& record : read_voc(voc.folder.path(), split).records) text += record.id;
    return text;
  };
  write_file(voc.folder.path("ImageSets/Main/cat_train.txt"), "a  1\r\nb -1\r\n\r\nc  0\r\n");
  write_file(voc.folder.path("ImageSets/Segmentation/train.txt"), "b\n");
  write_file(voc.folder.path("ImageSets/Segmentation/val.txt"), "c");
  write_file(voc.folder.path("ImageSets/Main/odd.txt"), "a b c\n");
  write_file(voc.folder.path("ImageSets/Main/none.txt"), "\n");
  CHECK(ids("cat_train") == "ac");
  CHECK(ids("train") == "abc");
  CHECK(ids("Segmentation/train") == "b");
  CHECK(ids("val") == "c");
  CHECK_THROWS_WITH_AS(ids("test"),
                       doctest::Contains("has no list \"test\"; its lists are: Main/cat_train "
                                         "Main/none Main/odd Main/train Segmentation/train"),
                       Error);
  CHECK_THROWS_WITH_AS(ids("odd"), doctest::Contains("\"a b c\" is neither \"ID\" nor"), Error);
  CHECK_THROWS_WITH_AS(ids("none"), doctest::Contains("none.txt: names no pictures"), Error);
}

TEST_CASE("voc: a bad sample is told, passed over, and costs nothing else") {
  const auto object = [](const std::string& bounds) {
    return annotation_xml(object_xml("cat", bounds));
  };
  using doctest::Contains;
  CHECK(VocFolder().problem_of("<annotation><object>") == Contains("is not well-formed XML"));
  CHECK(VocFolder().problem_of("") == Contains("is not well-formed XML"));
  CHECK(VocFolder().problem_of("<html/>") == Contains("bad.xml: has no <annotation>"));
  CHECK(VocFolder().problem_of("<annotation><size><width>4</width></size></annotation>") ==
        Contains("bad.xml: <size> has no <height>"));
  CHECK(VocFolder().problem_of(
            "<annotation><size><width>-4</width><height>3</height></size></annotation>") ==
        Contains("<size> is -4 x 3 pixels"));
  CHECK(VocFolder().problem_of(annotation_xml("<object/>")) == Contains("it has no <name>"));
  CHECK(VocFolder().problem_of(annotation_xml("<object><name>cat</name></object>")) ==
        Contains("bad.xml: object 1 (\"cat\"): it has no <bndbox>; passed over"));
  CHECK(VocFolder().problem_of(
            annotation_xml(object_xml("unicorn", bounds_xml("1", "1", "9", "9")))) ==
        Contains("object 1 (\"unicorn\"): no such class; passed over"));
  CHECK(VocFolder().problem_of(object("<xmin>1</xmin>")) == Contains("<bndbox> has no <ymin>"));
  CHECK(VocFolder().problem_of(object(bounds_xml("1", "one", "9", "9"))) ==
        Contains("<ymin> is \"one\"; expected a number of pixels"));
  CHECK(VocFolder().problem_of(object(bounds_xml("1", "1", "nan", "9"))) ==
        Contains("<xmax> is \"nan\"; expected a number of pixels"));
  CHECK(VocFolder().problem_of(object(bounds_xml("1", "1", "1e30", "9"))) ==
        Contains("<xmax> is \"1e30\""));
  CHECK(VocFolder().problem_of(object(bounds_xml("9", "1", "5", "9"))) ==
        Contains("the box 8, 0, 5, 9 has no area; passed over"));
  CHECK(VocFolder().problem_of(object(bounds_xml("51", "1", "60", "9"))) ==
        Contains("lies outside the picture of 40 x 30; passed over"));
  CHECK(VocFolder().problem_of(object(bounds_xml("31", "1", "60", "9"))) ==
        Contains("leaves the picture of 40 x 30; clipped to it"));

  VocFolder missing;
  missing.ids = "gone\n";
  missing.add("good", annotation_xml(""));
  const Dataset dataset = missing.read();
  CHECK(dataset.records.size() == 1);
  REQUIRE(dataset.problems.size() == 1);
  CHECK(doctest::String(dataset.problems[0].c_str()) ==
        Contains("gone.jpg: no such picture; picture passed over"));
  CHECK(dataset.pictures_passed_over == 1);

  VocFolder all_bad;
  all_bad.add("bad", "nonsense");
  CHECK_THROWS_WITH_AS(all_bad.read(), Contains("none of its 1 pictures can be used"), Error);
}

TEST_CASE("voc: without a size in the XML the picture's own is taken") {
  VocFolder voc;
  voc.add("a", "<annotation/>");
  voc.add("b", "<annotation><size><width>0</width><height>0</height></size></annotation>");
  const Dataset dataset = voc.read();
  REQUIRE(dataset.records.size() == 2);
  for (const Record& record : dataset.records) CHECK(record.size() == ImageSize{40, 30});
}

TEST_CASE("voc: an annotation that is written reads back the same") {
  VocFolder voc;
  Record record{.image_path = "x/a.jpg", .width = 40, .height = 30};
  record.objects.push_back({.box = {0, 0, 40, 30}, .label = 3});
  record.objects.push_back({.box = {5, 6, 7, 9}, .label = 20, .difficult = true});
  voc.add("a", "");
  write_voc_annotation(voc.folder.path("Annotations/a.xml"), record, voc_classes());
  const Dataset dataset = voc.read();
  REQUIRE(dataset.records[0].objects.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(dataset.records[0].objects[i].box == record.objects[i].box);
    CHECK(dataset.records[0].objects[i].label == record.objects[i].label);
    CHECK(dataset.records[0].objects[i].difficult == record.objects[i].difficult);
  }
}

TEST_CASE("voc: one annotation file by itself, with classes of its own") {
  const test::TempFolder folder;
  const std::string xml = folder.path("a.xml");
  Record record{.image_path = "a.jpg", .width = 40, .height = 30};
  record.objects.push_back({.box = {1, 2, 30, 20}, .label = 2});
  record.objects.push_back({.box = {5, 6, 7, 9}, .label = 1});
  write_voc_annotation(xml, record, {"cow", "unicorn"});
  const Dataset dataset = read_voc_annotation(xml, folder.path("a.jpg"), {"bird", "unicorn"});
  REQUIRE(dataset.records.size() == 1);
  CHECK(dataset.records[0].id == "a");
  CHECK(dataset.records[0].size() == ImageSize{40, 30});
  REQUIRE(dataset.records[0].objects.size() == 1);
  CHECK(dataset.records[0].objects[0].label == 2);
  CHECK(dataset.records[0].objects[0].box == record.objects[0].box);
  REQUIRE(dataset.problems.size() == 1);
  CHECK(dataset.problems[0].find("cow") != std::string::npos);
  CHECK_THROWS_AS(read_voc_annotation(folder.path("b.xml"), "b.jpg", {"cow"}), Error);
}

TEST_CASE("voc: the real subset has the objects that its description counts") {
  const std::string root = test::shared_path("data/voc2012_subset");
  BBAM_SKIP_WITHOUT(root, "the VOC subset");
  struct Expected {
    const char* split;
    size_t images, objects;
    std::map<std::string, int> per_class;
  };
  const Expected expected[] = {
      {"train", 301, 432, {{"cat", 100}, {"dog", 89}, {"sheep", 31}, {"train", 0}}},
      {"train_sbd", 132, 360, {{"cat", 17}, {"person", 121}, {"sofa", 21}, {"train", 1}}},
      {"val", 319, 439, {{"cat", 101}, {"horse", 59}, {"bird", 0}, {"tvmonitor", 4}}}};
  size_t with_mask = 0;
  for (const Expected& e : expected) {
    CAPTURE(e.split);
    const Dataset dataset = read_dataset(root, e.split);
    CHECK(dataset.problems.empty());
    CHECK(dataset.records.size() == e.images);
    std::map<std::string, int> per_class;
    size_t objects = 0;
    for (const Record& record : dataset.records) {
      objects += record.objects.size();
      for (const Object& object : record.objects) ++per_class[dataset.name_of(object)];
      with_mask += has_masks(record) ? record.objects.size() : 0;
    }
    CHECK(objects == e.objects);
    for (const auto& [name, count] : e.per_class) CHECK(per_class[name] == count);
  }
  CHECK(with_mask == 1231);

  const Dataset val = read_dataset(root, "val");
  for (size_t i = 0; i < val.records.size(); i += 40) {
    const Record& record = val.records[i];
    const Image classes = read_class_map(val, record);
    const auto masks = read_masks(record);
    for (size_t k = 0; k < masks.size(); ++k) {
      CAPTURE(record.id);
      const Object& object = record.objects[k];
      int64_t inside = 0, area = 0, same_class = 0;
      for (int y = 0; y < record.height; ++y)
        for (int x = 0; x < record.width; ++x) {
          if (masks[k].at(x, y)[0] != 1) continue;
          ++area;
          inside += x >= object.box.x0 - 3 && x < object.box.x1 + 3 && y >= object.box.y0 - 3 &&
                    y < object.box.y1 + 3;
          same_class += classes.at(x, y)[0] == object.label;
        }
      CHECK(area > 0);
      CHECK(inside == area);
      CHECK(double(same_class) > 0.9 * double(area));
    }
  }
}
