// Runs of bbam pseudo-label that are stopped, divided, repeated or made from earlier ones.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/interrupt.h"
#include "cli/label_refiner.h"
#include "cli/label_store.h"
#include "datasets/voc.h"
#include "segmenters/selective_search.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

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

TEST_CASE("pseudo-label: labels from the maps of an earlier run") {
  const ExplainFixture fixture;
  REQUIRE(fixture.label("solved", {"--corners", "half-pixel"}).status == 0);
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
  CHECK(settings["corners"] == "half-pixel");
  CHECK(settings["iterations"] == 3);
  REQUIRE(again("paper", {"--label", "paper"}).status == 0);
  CHECK(part("paper", "maps/") == part("solved", "maps/"));
  CHECK(part("paper", "labels.json") != part("solved", "labels.json"));
  CHECK(is_error(again("bad", {"--weights", fixture.weights}), "--reuse-maps"));
  // A switch of the solver comes too late, unless it says what was done.
  CHECK(is_error(again("bad", {"--iterations", "10"}), "--iterations: the maps of --reuse-maps"));
  CHECK(is_error(again("bad", {"--lambda=0.1"}), "--lambda: the maps of --reuse-maps"));
  CHECK(is_error(again("bad", {"--scale-stride"}), "--scale-stride: the maps of --reuse-maps"));
  CHECK(again("so be it", {"--iterations", "3", "--no-scale-stride"}).status == 0);
  const std::string id = read_voc(fixture.data, "val").records[2].id;
  std::filesystem::remove(fixture.folder.path("solved/images/" + id + ".json"));
  const CommandResult less = again("less", {});
  CHECK(less.status == 1);
  CHECK(contains(less.err, "has no maps of image " + id));
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
  const CommandResult reused = run_command(
      {"pseudo-label", "--data", fixture.data, "--split", "val", "--objects", "4", "--label",
       "paper", "--reuse-maps", fixture.folder.path("o"), "--out", fixture.folder.path("reused")});
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

TEST_CASE("pseudo-label: equation 4, labels refined with mask proposals of the photograph") {
  const ExplainFixture fixture;
  // The authors leave objects as small as these alone.
  REQUIRE(fixture.label("plain", {"--label", "paper"}).status == 0);
  const CommandResult result =
      fixture.label("refined", {"--label", "paper", "--refine", "selective-search"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "propose"));
  const LabelStore plain(fixture.folder.path("plain")), refined(fixture.folder.path("refined"));
  int changed = 0, objects = 0;
  for (const Record& record : read_voc(fixture.data, "val").records) {
    const auto before = plain.read(record.id), after = refined.read(record.id);
    REQUIRE(before.has_value());
    REQUIRE(after.has_value());
    const Image photograph = read_picture(record);
    const RegionProposals proposals = selective_search(
        Tensor::from(photograph.pixels, {photograph.height, photograph.width, 3}), {}, 1);
    for (size_t i = 0; i < before->objects.size(); ++i) {
      const LabelledObject &o = before->objects[i], &now = after->objects[i];
      const ObjectLabel label{rle_decode(o.foreground), rle_decode(o.ignore), o.source};
      const ObjectLabel expected = refine_label(
          proposals, label, {o.box.x0, o.box.y0, o.box.x1, o.box.y1}, RefineSpec::paper());
      CHECK(now.foreground == rle_encode(expected.foreground));
      CHECK(now.ignore == rle_encode(expected.ignore));
      changed += now.foreground != o.foreground;
      ++objects;
    }
  }
  CHECK(objects > 4);
  CHECK(changed > 0);
}

TEST_CASE("pseudo-label: proposals that are missing cost their image alone") {
  const ExplainFixture fixture;
  CHECK(is_error(fixture.label("none", {"--refine", "/nowhere"}), "--refine /nowhere"));
  const std::string folder = fixture.folder.path("mcg");
  std::filesystem::create_directory(folder);
  const CommandResult result = fixture.label("missing", {"--refine", folder});
  CHECK(contains(result.err, ".mat"));
  CHECK(contains(result.err, "passed over"));
}
