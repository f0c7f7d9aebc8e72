#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "cli/instances_json.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

TEST_CASE("pseudo-label: a mask for every object, as PNGs and as COCO json") {
  const ExplainFixture fixture;
  const CommandResult result = fixture.label("o", {"--examples", "2"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  const std::string out = fixture.folder.path("o");
  const Dataset dataset = read_voc(fixture.data, "val");
  const std::vector<Instance> labels = read_instances(out + "/labels.json");
  size_t next = 0, discs = 0, maps = 0;
  for (const Record& record : dataset.records) {
    const Image objects = read_label_png(out + "/SegmentationObject/" + record.id + ".png");
    const Image classes = read_label_png(out + "/SegmentationClass/" + record.id + ".png");
    REQUIRE(objects.size() == record.size());
    std::set<int> ids{0, kVoid}, labels_here{0, kVoid};
    for (size_t k = 0; k < record.objects.size(); ++k, ++next) {
      const Object& object = record.objects[k];
      REQUIRE(next < labels.size());
      CHECK(labels[next].image_id == record.id);
      CHECK(labels[next].object == int(k));
      CHECK(labels[next].category == object.label);
      CHECK(labels[next].box == object.box);
      REQUIRE(labels[next].mask.has_value());
      REQUIRE(labels[next].ignore.has_value());
      CHECK(rle_intersection(*labels[next].mask, *labels[next].ignore) == 0);
      ids.insert(int(object.id));
      labels_here.insert(object.label);
      const std::string map = join(out, "/maps/", record.id, "-", k, ".npy");
      discs += object.label == 1;
      if (!std::filesystem::exists(map)) continue;
      ++maps;
      CHECK(object.label == 1);
      CHECK(read_npy(map).shape() == Shape{10, 16});  // 64 / 6, 96 / 6, truncated
    }
    for (const uint8_t value : objects.pixels) CHECK(ids.count(value) == 1);
    for (const uint8_t value : classes.pixels) CHECK(labels_here.count(value) == 1);
  }
  CHECK(next == labels.size());
  REQUIRE(discs > 0);
  CHECK(maps == discs);
  const json results = results_of(out);
  CHECK(results["objects"] == labels.size());
  CHECK(results["fallbacks"]["no_map"] == labels.size() - discs);
  CHECK(results["mean_mask_iou"].get<double>() > 0);
  CHECK(results["mean_box_iou"].get<double>() > 0.3);
  CHECK(std::distance(std::filesystem::directory_iterator(out + "/objects"), {}) == 2);
}

TEST_CASE("pseudo-label: examples, also of images finished before and of reused maps") {
  const ExplainFixture fixture;
  const std::string place = fixture.folder.path("o/objects");
  const auto count = [](const std::string& folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  };
  REQUIRE(fixture.label("o", {"--examples", "1"}).status == 0);
  REQUIRE(count(place) == 1);
  const auto before = files_in(place);
  REQUIRE(fixture.label("o").status == 0);
  const int64_t objects = results_of(fixture.folder.path("o"))["objects"];
  CHECK(count(place) == std::min<int64_t>(objects, 12));
  for (const auto& [name, bytes] : before) CHECK(files_in(place).at(name) == bytes);
  // What is told later is what is told at once, but for curve, detections and earlier maps.
  REQUIRE(fixture.label("whole").status == 0);
  REQUIRE(run_command({"pseudo-label", "--data", fixture.data, "--split", "val", "--reuse-maps",
                       fixture.folder.path("o"), "--out", fixture.folder.path("reused")})
              .status == 0);
  const auto whole = files_in(fixture.folder.path("whole/objects"));
  const auto reused = files_in(fixture.folder.path("reused/objects"));
  int64_t maps = 0;
  for (const auto& [name, bytes] : files_in(place)) {
    INFO(name);
    maps += name.ends_with("map_003.npy");
    if (name.ends_with("object.json")) continue;
    CHECK(whole.at(name) == bytes);
    if (before.count(name) == 0) CHECK(reused.at(name) == bytes);
  }
  CHECK(maps > 1);
  CHECK(count(fixture.folder.path("reused/objects")) == count(place));
  const auto report = [&](const std::string& run) {
    return run_command({"report", fixture.folder.path(run)}).status;
  };
  CHECK(report("o") == 0);
  CHECK(report("reused") == 0);
}

TEST_CASE("pseudo-label: images without objects get empty maps, so that all can be compared") {
  const ExplainFixture fixture;
  const Dataset dataset = read_voc(fixture.data, "val");
  Record empty = dataset.records[1];
  empty.objects.clear();
  write_voc_annotation(fixture.data + "/Annotations/" + empty.id + ".xml", empty, dataset.classes);
  REQUIRE(fixture.label("o").status == 0);
  const std::string maps = fixture.folder.path("o/SegmentationClass");
  for (const std::string kind : {"Class", "Object"}) {
    const Image map =
        read_label_png(fixture.folder.path("o/Segmentation" + kind + "/" + empty.id + ".png"));
    CHECK(map.size() == empty.size());
    CHECK(std::count(map.pixels.begin(), map.pixels.end(), 0) == 72 * 48);
  }
  const CommandResult all = run_command({"evaluate", "semantic", maps, "--data", fixture.data});
  CHECK(all.status == 0);
  CHECK(contains(all.out, "mean of 4 images"));
  // Where only some objects are labelled, nothing is known of the other images.
  REQUIRE(fixture.label("some", {"--objects", "1"}).status == 0);
  CHECK(files_in(fixture.folder.path("some/SegmentationClass")).size() == 1);
}

TEST_CASE("pseudo-label: a bad image is passed over and counted, and done once it is mended") {
  const ExplainFixture fixture;
  const Record record = read_voc(fixture.data, "val").records[1];
  const std::string bytes = read_file(record.image_path);
  write_file(record.image_path, bytes.substr(0, bytes.size() / 2));
  const CommandResult result = fixture.label("o");
  CHECK(result.status == 0);
  CHECK(contains(result.err, record.image_path));
  CHECK(contains(result.err, "passed over"));
  CHECK(contains(result.out, "1 images were passed over"));
  const std::string out = fixture.folder.path("o");
  CHECK(results_of(out)["images"] == 3);
  CHECK(results_of(out)["images_passed_over"] == 1);
  CHECK(!std::filesystem::exists(out + "/SegmentationClass/" + record.id + ".png"));
  for (const Instance& label : read_instances(out + "/labels.json"))
    CHECK(label.image_id != record.id);

  write_file(record.image_path, bytes);
  REQUIRE(fixture.label("o").status == 0);
  CHECK(results_of(out)["images_passed_over"] == 0);
  REQUIRE(fixture.label("fresh").status == 0);
  CHECK(labels_in(out) == labels_in(fixture.folder.path("fresh")));
}

TEST_CASE("pseudo-label: a damaged true mask costs its image's comparison alone") {
  const ExplainFixture fixture;
  const std::string id = read_voc(fixture.data, "val").records[0].id;
  REQUIRE(fixture.label("whole").status == 0);
  write_file(fixture.data + "/SegmentationObject/" + id + ".png", "no picture");
  const CommandResult result = fixture.label("o");
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "1 images were left out of the comparison with the true masks; "));
  CHECK(contains(result.out, id + ".png"));
  const std::string out = fixture.folder.path("o");
  CHECK(results_of(out)["images_not_compared"] == 1);
  CHECK(results_of(out)["mean_mask_iou"].get<double>() > 0);
  CHECK(labels_in(out) == labels_in(fixture.folder.path("whole")));
  CHECK(results_of(fixture.folder.path("whole"))["images_not_compared"] == 0);
}

TEST_CASE("pseudo-label: images that the data set itself passed over count") {
  const ExplainFixture fixture;
  const std::string list = fixture.data + "/ImageSets/Main/val.txt";
  write_file(list, read_file(list) + "gone\n");
  const CommandResult result = fixture.label("o", {"--objects", "1"});
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "1 images were passed over"));
  CHECK(results_of(fixture.folder.path("o"))["images_passed_over"] == 1);
  CHECK(results_of(fixture.folder.path("o"))["images"] == 1);
}

TEST_CASE("pseudo-label: an image of another size than its annotation says is passed over") {
  const ExplainFixture fixture;
  const Record record = read_voc(fixture.data, "val").records[0];
  write_jpeg(record.image_path, Image(40, 48, 3));
  const CommandResult result = fixture.label("o");
  CHECK(result.status == 0);
  CHECK(contains(result.err, "is 40 x 48 pixels; its annotation says 72 x 48"));
}

// The fixture's pictures in COCO layout, with ids that do not fit a label map.
std::string coco_of(const ExplainFixture& fixture) {
  const std::string root = fixture.folder.path("coco");
  make_folder(root + "/annotations");
  const Dataset voc = read_voc(fixture.data, "val");
  json images = json::array(), annotations = json::array(), categories = json::array();
  for (const Record& record : voc.records) {
    const int id = std::stoi(record.id) + 5000;
    images.push_back(
        {{"id", id}, {"file_name", record.id + ".jpg"}, {"width", 72}, {"height", 48}});
    for (const Object& o : record.objects)
      annotations.push_back(
          {{"id", annotations.size() + 1000},
           {"image_id", id},
           {"category_id", o.label + 10},
           {"iscrowd", 0},
           {"area", o.box.area()},
           {"bbox", {o.box.x0, o.box.y0, o.box.x1 - o.box.x0, o.box.y1 - o.box.y0}}});
  }
  for (size_t c = 0; c < voc.classes.size(); ++c)
    categories.push_back({{"id", c + 11}, {"name", voc.classes[c]}});
  write_file(
      root + "/annotations/instances_val.json",
      json{{"images", images}, {"annotations", annotations}, {"categories", categories}}.dump());
  std::filesystem::copy(fixture.data + "/JPEGImages", root + "/val");
  return root;
}

TEST_CASE("pseudo-label: COCO layout, whose objects are numbered by position") {
  const ExplainFixture fixture;
  const CommandResult result = fixture.label("o", {"--data", coco_of(fixture)});
  INFO(result.err);
  REQUIRE(result.status == 0);
  const std::string out = fixture.folder.path("o");
  const Dataset voc = read_voc(fixture.data, "val");
  size_t next = 0;
  const auto labels = read_instances(out + "/labels.json");
  for (const Record& record : voc.records) {
    const std::string id = std::to_string(std::stoi(record.id) + 5000);
    std::set<int> values, classes{0, kVoid};
    for (const Object& object : record.objects) {
      REQUIRE(next < labels.size());
      CHECK(labels[next].image_id == id);
      CHECK(labels[next++].category == object.label + 10);
      classes.insert(object.label + 10);
    }
    for (const uint8_t v : read_label_png(out + "/SegmentationObject/" + id + ".png").pixels)
      values.insert(v);
    values.erase(kVoid);
    CHECK(*values.rbegin() <= int(record.objects.size()));
    for (const uint8_t v : read_label_png(out + "/SegmentationClass/" + id + ".png").pixels)
      CHECK(classes.count(v) == 1);
  }
  CHECK(next == labels.size());
  CHECK(!results_of(out).contains("mean_mask_iou"));  // there are no masks to compare with
}

TEST_CASE("pseudo-label: COCO ids never merge objects, nor end a run late") {
  const ExplainFixture fixture;
  const std::string root = coco_of(fixture), file = root + "/annotations/instances_val.json";
  json coco = json::parse(read_file(file));
  for (json& annotation : coco["annotations"]) annotation["id"] = 7;
  write_file(file, coco.dump());
  REQUIRE(fixture.label("o", {"--data", root}).status == 0);
  const Dataset dataset = read_dataset(root, "val");
  size_t values = 0, masks = 0;
  for (const Record& record : dataset.records) {
    const auto map =
        read_label_png(fixture.folder.path("o/SegmentationObject/" + record.id + ".png"));
    std::set<int> here(map.pixels.begin(), map.pixels.end());
    here.erase(kVoid);
    here.erase(0);
    for (const int value : here) CHECK(value <= int(record.objects.size()));
    values += here.size();
  }
  for (const Instance& label : read_instances(fixture.folder.path("o/labels.json")))
    masks += rle_area(*label.mask) > 0;
  CHECK(values > dataset.records.size());
  CHECK(values <= masks);

  coco["categories"][1]["id"] = 300;
  write_file(file, coco.dump());
  const CommandResult large = fixture.label("large", {"--data", root});
  CHECK(contains(large.err, "the class \"square\" has the id 300; label maps hold 1 to 254"));
  CHECK(!std::filesystem::exists(fixture.folder.path("large")));
  CHECK(fixture.label("large", {"--data", root, "--classes", "disc"}).status == 0);
}

TEST_CASE("pseudo-label: difficult objects are labelled, and compared with nothing") {
  const ExplainFixture fixture;
  for (const Record& record : read_voc(fixture.data, "val").records) {
    const std::string path = fixture.data + "/Annotations/" + record.id + ".xml";
    const std::regex easy("<difficult>0</difficult>");
    write_file(path, std::regex_replace(read_file(path), easy, "<difficult>1</difficult>"));
  }
  const CommandResult result = fixture.label("o");
  INFO(result.err);
  REQUIRE(result.status == 0);
  const nlohmann::json results = results_of(fixture.folder.path("o"));
  CHECK(results["objects"] > 4);
  CHECK(!results.contains("mean_mask_iou"));
  int examples = 0;
  for (const auto& [name, bytes] : files_in(fixture.folder.path("o/objects"))) {
    if (!name.ends_with("object.json")) continue;
    CHECK(nlohmann::json::parse(bytes)["iou"].empty());
    ++examples;
  }
  CHECK(examples > 4);
}

TEST_CASE("pseudo-label: pictures that would be stored under one name are refused") {
  namespace fs = std::filesystem;
  const ExplainFixture fixture;
  const std::string root = fixture.folder.path("renamed");
  fs::copy(fixture.data, root, fs::copy_options::recursive);
  const std::vector<Record> records = read_voc(root, "val").records;
  const auto rename = [&](const std::string& from, const std::string& to) {
    for (const auto& [folder, suffix] :
         {std::pair{"/JPEGImages/", ".jpg"}, {"/Annotations/", ".xml"}}) {
      fs::create_directories(fs::path(root + folder + to).parent_path());
      fs::rename(root + folder + from + suffix, root + folder + to + suffix);
    }
  };
  rename(records[0].id, "a/b");
  rename(records[1].id, "a_b");
  for (const char* kind : {"Main", "Segmentation"})
    write_file(join(root, "/ImageSets/", kind, "/val.txt"), "a/b\na_b\n");
  const CommandResult result = fixture.label("o", {"--data", root});
  INFO(result.err);
  CHECK(result.status == 1);
  CHECK(contains(result.err, "the pictures 'a/b' and 'a_b' would both be stored as 'a_b'"));
  for (const char* kind : {"Main", "Segmentation"})
    write_file(join(root, "/ImageSets/", kind, "/val.txt"), "a/b\na/b\n");
  const CommandResult twice = fixture.label("o", {"--data", root});
  CHECK(twice.status == 1);
  CHECK(contains(twice.err, "the picture 'a/b' is listed twice in the split"));
  CHECK(!fs::exists(fixture.folder.path("o")));
}

TEST_CASE("pseudo-label: ignored pixels survive the COCO file") {
  const TempFolder folder;
  Instance instance{.image_id = "7", .category = 1, .box = {0, 0, 4, 4}};
  instance.mask = rle_from_box(0, 0, 2, 4, 4, 4);
  instance.object = 0;
  instance.ignore = rle_from_box(2, 0, 4, 2, 4, 4);
  write_annotations(folder.path("l.json"), {}, {instance});
  const auto back = read_instances(folder.path("l.json"));
  REQUIRE(back.size() == 1);
  CHECK(back[0].mask == instance.mask);
  CHECK(back[0].ignore == instance.ignore);
}

TEST_CASE("pseudo-label: bad options give one message") {
  const ExplainFixture fixture;
  const auto error = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = fixture.label("o", more);
    INFO(result.err);
    CHECK(is_error(result, part));
  };
  error({"--shard", "3/2"}, "--shard '3/2'; expected I/N");
  error({"--shard", "1/2x"}, "--shard");
  error({"--theta-fg", "0.1"}, "--theta-fg 0.1 is below --theta-bg 0.2");
  error({"--theta-fg", "2"}, "--theta-fg");
  error({"--label", "mine"}, "--label");
  error({"--batch", "0"}, "--batch");
  error({"--batch", "1.5"}, "--batch: 1.5 is not a whole number");
  error({"--lambda", "small"}, "--lambda");
  error({"--positive-iou", "0.5,x"}, "--positive-iou");
  error({"--crf-appearance-sigma", "0"}, "--crf-appearance-sigma");
  error({"--classes", "cow"}, "has no class \"cow\"");
  error({"--split", "none"}, "none");
  error({"--short-side", "100", "--long-side", "50"}, "--short-side 100 is more than");
  CHECK(!std::filesystem::exists(fixture.folder.path("o/images")));
  const auto run = [&](const std::string& weights, const std::string& out) {
    return run_command(
        {"pseudo-label", "--weights", weights, "--data", fixture.data, "--out", out});
  };
  CHECK(is_error(run(fixture.folder.path("none"), fixture.folder.path("o")), "none"));
  CHECK(is_error(run(fixture.data + "/classes.txt", fixture.folder.path("o")), "classes.txt"));
  CHECK(is_error(run(fixture.weights, "/proc/nowhere"), "/proc/nowhere"));
  const std::string bytes = read_file(fixture.weights);
  write_file(fixture.weights, bytes.substr(0, bytes.size() / 2));
  error({}, "detector.safetensors");
  CHECK(is_error(run_command({"pseudo-label", "--data", fixture.data, "--out", "o"}), "--weights"));
}
