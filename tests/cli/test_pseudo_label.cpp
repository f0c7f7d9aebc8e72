#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/explain.h"
#include "cli/instances_json.h"
#include "cli/interrupt.h"
#include "cli/label_store.h"
#include "cli/label_tasks.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

// What a run leaves, without the times it took, and without the examples, which have them too.
std::map<std::string, std::string> labels_in(const std::string& folder) {
  auto files = files_in(folder);
  std::erase_if(files, [](const auto& file) {
    return file.first.starts_with("run") || file.first.starts_with("objects/");
  });
  for (auto& [name, bytes] : files) {
    if (name.rfind("images/", 0) != 0) continue;
    json image = json::parse(bytes);
    image.erase("seconds");
    bytes = image.dump();
  }
  return files;
}

json results_of(const std::string& folder) {
  return json::parse(read_file(folder + "/run.json"))["results"];
}

}  // namespace

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
      CHECK(read_npy(map).shape() == Shape{11, 16});  // ceil(64 / 6), ceil(96 / 6)
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

TEST_CASE("pseudo-label: the labels are the same bytes for 1 and 2 threads, in shards, resumed") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("whole").status == 0);
  const auto whole = labels_in(fixture.folder.path("whole"));
  CHECK(whole.count("labels.json") == 1);

  const std::string half = fixture.folder.path("half");
  const CommandResult first = fixture.label("half", {"--threads", "2", "--shard", "1/4"});
  REQUIRE(first.status == 0);
  CHECK(contains(first.out, "1 of 4 images are done"));
  CHECK(!std::filesystem::exists(half + "/labels.json"));
  CHECK(std::filesystem::exists(half + "/run-1-of-4.json"));
  REQUIRE(fixture.label("half", {"--shard", "3/4"}).status == 0);
  // One image was interrupted before its last file, and left a damaged one behind.
  const std::string id = read_voc(fixture.data, "val").records[2].id;
  REQUIRE(std::filesystem::remove(half + "/images/" + id + ".json"));
  write_file(half + "/SegmentationClass/" + id + ".png", "half a picture");
  set_interrupted(true);
  const CommandResult stopped = fixture.label("half");
  set_interrupted(false);
  CHECK(stopped.status == 130);
  CHECK(contains(stopped.err, "the same command goes on"));
  const CommandResult resumed = fixture.label("half");
  REQUIRE(resumed.status == 0);
  CHECK(contains(resumed.err, "objects were labelled before"));
  CHECK(labels_in(half) == whole);

  // The shard that finds everything done leaves the record of the whole run, which report reads.
  const std::string parts = fixture.folder.path("parts");
  REQUIRE(fixture.label("parts", {"--shard", "2/2"}).status == 0);
  CHECK(!std::filesystem::exists(parts + "/run.json"));
  REQUIRE(fixture.label("parts", {"--shard", "1/2"}).status == 0);
  CHECK(labels_in(parts) == whole);
  json results = results_of(parts), expected = results_of(half);
  for (json* r : {&results, &expected}) {
    r->erase("seconds");
    r->erase("tables");
  }
  CHECK(results == expected);
  CHECK(json::parse(read_file(parts + "/run.json"))["settings"]["shard"] == "1/1");
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

TEST_CASE("pseudo-label: an image of another size than its annotation says is passed over") {
  const ExplainFixture fixture;
  const Record record = read_voc(fixture.data, "val").records[0];
  write_jpeg(record.image_path, Image(40, 48, 3));
  const CommandResult result = fixture.label("o");
  CHECK(result.status == 0);
  CHECK(contains(result.err, "is 40 x 48 pixels; its annotation says 72 x 48"));
}

TEST_CASE("pseudo-label: labels from the maps of an earlier run") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("solved", {"--corners", "aligned"}).status == 0);
  const auto again = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> arguments{"pseudo-label",
                                       "--data",
                                       fixture.data,
                                       "--split",
                                       "val",
                                       "--out",
                                       fixture.folder.path(out),
                                       "--reuse-maps",
                                       fixture.folder.path("solved")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  };
  const auto part = [&](const std::string& run, const std::string& begin) {
    auto files = labels_in(fixture.folder.path(run));
    std::erase_if(files, [&](const auto& file) { return file.first.rfind(begin, 0) != 0; });
    return files;
  };
  REQUIRE(again("same", {}).status == 0);
  for (const char* what : {"labels.json", "maps/", "images/", "Segmentation"})
    CHECK(part("same", what) == part("solved", what));
  const auto settings = json::parse(read_file(fixture.folder.path("same/run.json")))["settings"];
  CHECK(settings["corners"] == "aligned");
  CHECK(settings["iterations"] == 3);
  REQUIRE(again("authors", {"--label", "authors"}).status == 0);
  CHECK(part("authors", "maps/") == part("solved", "maps/"));
  CHECK(part("authors", "labels.json") != part("solved", "labels.json"));
  CHECK(is_error(again("bad", {"--weights", fixture.weights}), "--reuse-maps"));
  const std::string id = read_voc(fixture.data, "val").records[2].id;
  std::filesystem::remove(fixture.folder.path("solved/images/" + id + ".json"));
  const CommandResult less = again("less", {});
  CHECK(less.status == 1);
  CHECK(contains(less.err, "has no maps of image " + id));
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

TEST_CASE("pseudo-label: a folder begun with other settings is left alone") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("o", {"--objects", "2"}).status == 0);
  const auto before = files_in(fixture.folder.path("o"));
  CHECK(is_error(fixture.label("o", {"--objects", "2", "--lambda", "0.5"}),
                 "was begun with lambda '0.007', not '0.5'"));
  CHECK(is_error(fixture.label("o", {"--objects", "3"}), "objects"));
  write_disc_detector(fixture.weights, 3);
  CHECK(contains(fixture.label("o", {"--objects", "2"}).err, "was begun with weights-hash '"));
  CHECK(files_in(fixture.folder.path("o")) == before);
}

TEST_CASE("pseudo-label: an image whose annotation has changed since is labelled anew") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("o").status == 0);
  const Dataset dataset = read_voc(fixture.data, "val");
  const auto annotate = [&](Record record) {
    write_voc_annotation(fixture.data + "/Annotations/" + record.id + ".xml", record,
                         dataset.classes);
  };
  Record moved = dataset.records[0], renamed = dataset.records[1];
  moved.objects[0].box.x1 -= 2;
  renamed.objects[0].label = renamed.objects[0].label == 1 ? 2 : 1;
  annotate(moved);
  annotate(renamed);
  const CommandResult part = fixture.label("o", {"--shard", "3/4"});
  CHECK(part.status == 0);
  CHECK(contains(part.out, "2 of 4 images are done"));
  REQUIRE(fixture.label("o").status == 0);
  REQUIRE(fixture.label("fresh").status == 0);
  const auto again = labels_in(fixture.folder.path("o"));
  for (const auto& [name, bytes] : labels_in(fixture.folder.path("fresh"))) {
    INFO(name);
    CHECK(again.at(name) == bytes);
  }
}

TEST_CASE("pseudo-label: run.json repeats the run, and names what went into it") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("o", {"--objects", "4"}).status == 0);
  const auto inputs = [&](const std::string& run) {
    std::set<std::string> paths;
    const json record = json::parse(read_file(fixture.folder.path(run + "/run.json")));
    for (const json& input : record["inputs"]) paths.insert(input["path"]);
    return paths;
  };
  const auto repeat = [&](const std::string& of, const std::string& out) {
    const CommandResult result =
        run_command({"pseudo-label", "--config", fixture.folder.path(of + "/run.json"), "--out",
                     fixture.folder.path(out)});
    INFO(result.err);
    CHECK(result.status == 0);
    CHECK(labels_in(fixture.folder.path(of)) == labels_in(fixture.folder.path(out)));
  };
  CHECK(inputs("o") == std::set<std::string>{fixture.data, fixture.weights});
  repeat("o", "again");
  const CommandResult reused =
      run_command({"pseudo-label", "--data", fixture.data, "--split", "val", "--objects", "4",
                   "--label", "authors", "--reuse-maps", fixture.folder.path("o"), "--out",
                   fixture.folder.path("reused")});
  REQUIRE(reused.status == 0);
  CHECK(inputs("reused") == std::set<std::string>{fixture.data, fixture.folder.path("o")});
  CHECK(results_of(fixture.folder.path("reused"))["weights_hash"] ==
        results_of(fixture.folder.path("o"))["weights_hash"]);
  repeat("reused", "reused-again");
}

TEST_CASE("pseudo-label: never into a folder that holds something else, such as the data set") {
  const ExplainFixture fixture;
  const auto before = files_in(fixture.data);
  CHECK(contains(fixture.label("shapes").err, "shapes: holds \"Annotations\" and no settings"));
  CHECK(files_in(fixture.data) == before);
}

TEST_CASE("pseudo-label: objects are drawn by their seed alone") {
  const ExplainFixture fixture;
  const Dataset dataset = read_voc(fixture.data, "val");
  const std::vector<bool> usable(dataset.classes.size() + 1, true);
  const auto drawn = [&](int64_t most, uint64_t seed) {
    std::set<std::pair<std::string, int>> objects;
    int64_t before = 0;
    for (const LabelTask& task : label_tasks(dataset, usable, most, seed)) {
      CHECK(task.objects_before == before);
      before += int64_t(task.objects.size());
      for (const int k : task.objects) CHECK(objects.insert({task.record->id, k}).second);
    }
    return objects;
  };
  const auto all = drawn(0, 0);
  CHECK(drawn(4, 1).size() == 4);
  CHECK(drawn(4, 1) == drawn(4, 1));
  CHECK(drawn(4, 1) != drawn(4, 2));
  CHECK(drawn(1000, 1) == all);
  for (const auto& object : drawn(4, 1)) CHECK(all.count(object) == 1);
  // A map does not depend on which other objects are solved.
  REQUIRE(fixture.label("all").status == 0);
  REQUIRE(fixture.label("some", {"--objects", "5", "--batch", "1"}).status == 0);
  const auto maps_of_all = files_in(fixture.folder.path("all/maps"));
  for (const auto& [name, bytes] : files_in(fixture.folder.path("some/maps"))) {
    const Tensor a = read_npy(fixture.folder.path("some/maps/" + name));
    const Tensor b = read_npy(fixture.folder.path("all/maps/" + name));
    REQUIRE(a.shape() == b.shape());
    for (int64_t i = 0; i < a.size(); ++i)
      CHECK(a.data<float>()[i] == doctest::Approx(b.data<float>()[i]).epsilon(1e-3));
  }
}

TEST_CASE("pseudo-label: difficult objects and crowds are left out, and classes not asked for") {
  Dataset dataset;
  dataset.classes = {"cat", "dog"};
  Record record{.id = "1"};
  record.objects.resize(4);
  for (Object& object : record.objects) object.label = 1;
  record.objects[0].difficult = true;
  record.objects[2].crowd = true;
  record.objects[3].label = 2;
  dataset.records = {record, Record{.id = "2"}};
  const auto tasks = label_tasks(dataset, {false, true, false}, 0, 0);
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].objects == std::vector<int>{1});
}

TEST_CASE("pseudo-label: the seed of an object depends on the object alone") {
  CHECK(object_seed(1, "000001", 1) == object_seed(1, "000001", 1));
  std::set<uint64_t> seeds;
  for (const uint64_t seed : {1, 2})
    for (const char* image : {"000001", "000010"})
      for (const int object : {1, 2, 10}) seeds.insert(object_seed(seed, image, object));
  CHECK(seeds.size() == 12);
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
  error({"--theta-fg", "0.1"}, "--theta-fg 0.1 is not above --theta-bg 0.2");
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
