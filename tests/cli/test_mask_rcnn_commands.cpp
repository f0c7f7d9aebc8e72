// bbam train mask-rcnn and bbam segment.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/mask_rcnn_file.h"
#include "cli/seen_example.h"
#include "cli/segment_instances.h"
#include "datasets/mask_metrics.h"
#include "datasets/shapes.h"
#include "tests/cli/explain_fixture.h"
#include "tests/cli/tiny_training.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

// Networks that train in seconds, on pictures to match.
struct Fixture {
  TempFolder folder;
  std::string data = folder.path("shapes");

  Fixture() { write_shapes(data, {.train = 4, .val = 2, .width = 96, .height = 72}); }

  CommandResult train(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run_command(test::with(
        test::with(
            test::tiny_training("mask-rcnn", data, folder.path(out)),
            {"--masks", "truth", "--mask-loss", "plain", "--mask-width", "8", "--steps", "4"}),
        more));
  }
  std::string weights(const std::string& run) const {
    return folder.path(run + "/mask_rcnn.safetensors");
  }
};

}  // namespace

TEST_CASE("train mask-rcnn: stopped, resumed, and with other threads, the bytes are the same") {
  const Fixture f;
  REQUIRE(f.train("whole").status == 0);
  REQUIRE(f.train("one", {"--threads", "1", "--workers", "0"}).status == 0);
  CHECK(read_file(f.weights("whole")) == read_file(f.weights("one")));
  interrupt_at_look(3);
  const CommandResult stopped = f.train("half");
  set_interrupted(false);
  interrupt_at_look(0);
  CHECK(stopped.status == 130);
  CHECK(contains(stopped.err, "stopped at step 2 of 4"));
  REQUIRE(f.train("half", {"--resume"}).status == 0);
  CHECK(read_file(f.weights("whole")) == read_file(f.weights("half")));
  CHECK(read_file(f.folder.path("whole/log.csv")) == read_file(f.folder.path("half/log.csv")));
  CHECK(read_file(f.folder.path("half/log.csv"))
            .starts_with("step,rate,total,objectness,rpn_box,classification,box,mask\n"));
}

TEST_CASE("train mask-rcnn: what its masks are decides what it learns, and what it resumes") {
  const Fixture f;
  REQUIRE(f.train("truth").status == 0);
  REQUIRE(f.train("boxes", {"--masks", "boxes"}).status == 0);
  CHECK(read_file(f.weights("truth")) != read_file(f.weights("boxes")));
  CHECK(is_error(f.train("truth", {"--resume", "--masks", "boxes"}), "masks"));
  CHECK(is_error(f.train("none", {"--masks", f.data}), "labels.json: no such file"));
  CHECK(is_error(f.train("none", {"--grow-below", "0.95"}), "--grow-below 0.95"));
  CHECK(!std::filesystem::exists(f.folder.path("none")));
}

TEST_CASE("train mask-rcnn: begun with a detector, everything of it is taken") {
  const Fixture f;
  TempFolder folder;
  const std::string detector = folder.path("detector.safetensors");
  REQUIRE(f.train("first").status == 0);
  const DetectorCard card = load_mask_rcnn(f.weights("first"), kCpu).card.detector;
  FasterRcnn model(detector_spec(card.options, int64_t(card.classes.size())), 77);
  save_detector(detector, model, card);
  // At a rate of 0 the detector stays what it was.
  REQUIRE(f.train("from", {"--init", detector, "--lr", "0", "--steps", "1"}).status == 0);
  const auto after = read_safetensors(f.weights("from")).tensors;
  for (const auto& [name, tensor] : named_tensors(model)) {
    REQUIRE(after.count(name) == 1);
    CHECK(after.at(name).to_vector<float>() == tensor.to_vector<float>());
  }
  // What only training and detection need may differ.
  CHECK(f.train("fewer", {"--init", detector, "--rois-per-image", "16", "--freeze-stages", "2"})
            .status == 0);
  CHECK(is_error(f.train("other", {"--init", detector, "--anchor-sizes", "8,16,32,64,96"}),
                 "another architecture, anchor_sizes ["));
}

TEST_CASE("segment: a split, its figures, and the same as the library finds") {
  const Fixture f;
  REQUIRE(f.train("run").status == 0);
  const std::string out = f.folder.path("out");
  const CommandResult result = run_command(
      {"segment", "--weights", f.weights("run"), "--data", f.data, "--split", "val", "--out", out});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "AP50"));
  const auto record = nlohmann::json::parse(read_file(out + "/run.json"));
  CHECK(record["results"]["instances"]["coco"].contains("AP50"));
  LoadedMaskRcnn network = load_mask_rcnn(f.weights("run"), kCpu);
  const Dataset dataset = read_dataset(f.data, "val");
  std::vector<Instance> expected;
  for (const Record& r : dataset.records)
    for (const SegmentedObject& o : segment(network, read_picture(r), kCpu, {}))
      expected.push_back(instance_of(r.id, o.label, o));
  const auto found = read_detections(out + "/instances.json");
  REQUIRE(found.size() == expected.size());
  REQUIRE(!found.empty());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].image_id == expected[i].image_id);
    CHECK(found[i].mask == expected[i].mask);
    // Inside the box, but for the border that pasting adds and truncates.
    const auto [x0, y0, x1, y1] = rle_bounds(*found[i].mask);
    if (x1 == 0) continue;
    const PixelBox& box = found[i].box;
    const double dx = (box.x1 - box.x0) / 28 + 1, dy = (box.y1 - box.y0) / 28 + 1;
    CHECK(double(x0) >= box.x0 - dx);
    CHECK(double(y0) >= box.y0 - dy);
    CHECK(double(x1) <= box.x1 + dx);
    CHECK(double(y1) <= box.y1 + dy);
  }
}

TEST_CASE("segment: examples of a split, drawn as the library does, and not those of before") {
  const Fixture f;
  REQUIRE(f.train("run").status == 0);
  const std::string out = f.folder.path("out");
  const auto segment_val = [&](const std::string& examples) {
    return run_command({"segment", "--weights", f.weights("run"), "--data", f.data, "--split",
                        "val", "--out", out, "--examples", examples});
  };
  REQUIRE(segment_val("12").status == 0);
  const Dataset dataset = read_dataset(f.data, "val");
  const auto results = read_detections(out + "/instances.json");
  for (const Record& record : dataset.records) {
    const SeenExample example = read_seen_example(out + "/examples/" + record.id);
    CHECK(example.kind == "objects");
    SeenExample expected{record.id, "objects", {}, read_picture(record), {}, {}};
    expected.prediction = expected.photograph;
    expected.truth = expected.photograph;
    draw_objects(expected.prediction, found_objects(dataset, record, results, 0.5),
                 dataset.classes);
    for (const int label : draw_objects(*expected.truth, true_objects(record), dataset.classes))
      CHECK(example.classes.at(label) == dataset.classes[size_t(label - 1)]);
    write_seen_example(f.folder.path("expected"), expected);
    for (const char* name : {"/image.jpg", "/prediction.jpg", "/truth.jpg"})
      CHECK(read_file(out + "/examples/" + record.id + name) ==
            read_file(f.folder.path("expected/" + record.id + name)));
  }
  REQUIRE(segment_val("1").status == 0);
  CHECK(std::filesystem::exists(out + "/examples/" + dataset.records[0].id));
  CHECK(!std::filesystem::exists(out + "/examples/" + dataset.records[1].id));
}

TEST_CASE("segment: photographs, one of them bad; a detector has no masks") {
  const Fixture f;
  REQUIRE(f.train("run").status == 0);
  const std::string bad = f.folder.path("bad.jpg"), out = f.folder.path("out");
  write_file(bad, "no picture");
  const std::string picture = f.data + "/JPEGImages/000005.jpg";
  const CommandResult result = run_command(
      {"segment", "--weights", f.weights("run"), picture, bad, "--out", out, "--score", "0.1"});
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "1 of 2 pictures were passed over"));
  CHECK(std::filesystem::exists(out + "/000005.jpg"));
  CHECK(!read_detections(out + "/instances.json").empty());
  const std::string detector = f.folder.path("detector.safetensors");
  test::write_disc_detector(detector);
  CHECK(is_error(run_command({"segment", "--weights", detector, picture, "--out", out}),
                 "detector without masks"));
  CHECK(is_error(
      run_command({"segment", "--weights", f.weights("run"), picture, "--out", out, "--flip"}),
      "--flip: is not"));
  // A Mask R-CNN is a detector too.
  CHECK(run_command({"detect", "--weights", f.weights("run"), picture}).status == 0);
}

TEST_CASE("segment: METHOD B4, the masks refined by the CRF") {
  const Fixture f;
  REQUIRE(f.train("run").status == 0);
  const std::string picture = f.data + "/JPEGImages/000005.jpg";
  const auto masks_of = [&](const std::string& out, const std::vector<std::string>& more) {
    REQUIRE(run_command(test::with({"segment", "--weights", f.weights("run"), picture, "--out",
                                    f.folder.path(out), "--score", "0.1"},
                                   more))
                .status == 0);
    return read_detections(f.folder.path(out + "/instances.json"));
  };
  const auto plain = masks_of("plain", {}), refined = masks_of("crf", {"--crf"});
  LoadedMaskRcnn network = load_mask_rcnn(f.weights("run"), kCpu);
  const auto expected = segment(network, read_image(picture), kCpu, {.score = 0.1, .crf = true});
  REQUIRE(!plain.empty());
  REQUIRE(refined.size() == plain.size());
  REQUIRE(refined.size() == expected.size());
  size_t changed = 0;
  for (size_t i = 0; i < refined.size(); ++i) {
    CHECK(refined[i].box == plain[i].box);
    CHECK(refined[i].mask == rle_encode(equal_to(expected[i].mask, 1)));
    changed += refined[i].mask != plain[i].mask;
  }
  CHECK(changed > 0);
}
