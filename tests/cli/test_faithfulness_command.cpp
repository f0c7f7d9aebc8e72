#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "attribution/explain.h"
#include "attribution/faithfulness.h"
#include "cli/draw.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/label_store.h"
#include "datasets/mask_metrics.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

struct FaithfulnessFixture : ExplainFixture {
  std::string labels = folder.path("labels"), out = folder.path("measured");

  FaithfulnessFixture() { REQUIRE(label("labels", {"--objects", "5"}).status == 0); }

  CommandResult measure(const std::vector<std::string>& more = {}) const {
    return run_command(with({"faithfulness", labels, "--weights", weights, "--data", data,
                             "--split", "val", "--out", out, "--steps", "4", "--threads", "1"},
                            more));
  }
  json result() const { return results_of(out)["faithfulness"]; }
};

double mean_of(const json& objects, const char* map, const char* curve, const char* value) {
  double sum = 0;
  for (const json& object : objects) sum += object[map][curve][value].get<double>();
  return sum / double(objects.size());
}

}  // namespace

TEST_CASE("faithfulness command: the areas and hits are those of the stored maps") {
  const FaithfulnessFixture fixture;
  const CommandResult result = fixture.measure();
  INFO(result.err);
  REQUIRE(result.status == 0);
  const json objects = fixture.result()["objects"];
  REQUIRE(!objects.empty());
  LoadedDetector loaded = load_detector(fixture.weights, kCpu);
  const std::unique_ptr<ExplainedDetector> explained = explain(*loaded.model);
  ExplainedDetector& detector = *explained;
  PositiveSpec spec = BbamOptions::authors().positives;
  spec.proposals = 60;
  spec.iou_thresholds = {0.5};
  const LabelStore store(fixture.labels);
  size_t next = 0;
  for (const Record& record : read_voc(fixture.data, "val").records) {
    const auto labelled = store.read(record.id);
    if (!labelled) continue;
    const DetectorInput input = detector_input(read_picture(record), loaded.card, kCpu);
    for (const LabelledObject& o : labelled->objects) {
      if (o.positives == 0) continue;
      const Object& object = record.objects[size_t(o.object)];
      const json& found = objects.at(next++);
      CHECK(found["image"] == record.id);
      CHECK(found["object"] == o.object);
      CHECK(found["pointing_at"] == "mask");
      const PixelBox b = resize_box(object.box, input.original, input.resized);
      ObjectProposals asked{{b.x0, b.y0, b.x1, b.y1}, object.label, {}};
      asked.proposals = find_positives(detector, input.image, asked.box, asked.label, spec,
                                       object_seed(1, record.id, object.id))
                            .proposals;
      REQUIRE(asked.proposals.dim(0) == o.positives);
      const Tensor coarse = store.read_map(record.id, o);
      const Tensor map = upsampled_map(coarse, input.resized, Corners::kAligned);  // authors
      std::vector<float> inside;
      for (int y = 0; y < input.resized.height; ++y)
        for (int x = 0; x < input.resized.width; ++x)
          inside.push_back(y + 0.5 > b.y0 && y + 0.5 < b.y1 && x + 0.5 > b.x0 && x + 0.5 < b.x1);
      const Tensor box = Tensor::from(inside, map.shape());
      for (const auto& [name, values] : {std::pair{"map", map}, {"filled_box", box}}) {
        const FaithfulnessCurve gone =
            deletion_curve(detector, input.image, values, asked, {.steps = 4});
        const FaithfulnessCurve back =
            insertion_curve(detector, input.image, values, asked, {.steps = 4});
        CHECK(found[name]["deletion"]["probability"] == gone.probability_area);
        CHECK(found[name]["deletion"]["iou"] == gone.iou_area);
        CHECK(found[name]["insertion"]["probability"] == back.probability_area);
        CHECK(found[name]["insertion"]["iou"] == back.iou_area);
      }
      const Tensor truth = equal_to(read_masks(record)[size_t(o.object)], 1);
      CHECK(found["map"]["points"] ==
            points_at(upsampled_map(coarse, record.size(), Corners::kAligned), truth));
    }
  }
  CHECK(next == objects.size());
}

TEST_CASE("faithfulness command: a table of means, beside the filled box") {
  const FaithfulnessFixture fixture;
  const CommandResult result = fixture.measure();
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "object"));
  const json results = results_of(fixture.out), objects = fixture.result()["objects"];
  const json table = results["tables"][0];
  CHECK(table["title"] == "Faithfulness of bbam");
  REQUIRE(table["rows"].size() == 5);
  const std::vector<std::pair<const char*, const char*>> order{{"deletion", "probability"},
                                                               {"deletion", "iou"},
                                                               {"insertion", "probability"},
                                                               {"insertion", "iou"}};
  for (size_t row = 0; row < order.size(); ++row) {
    const auto& [curve, value] = order[row];
    int column = 1;
    for (const char* map : {"map", "filled_box"}) {
      const double mean = mean_of(objects, map, curve, value);
      CHECK(std::stod(table["rows"][row][size_t(column++)].get<std::string>()) ==
            doctest::Approx(mean).epsilon(0.001));
      const json means = fixture.result()["mean_curves"][map][curve][value];
      REQUIRE(means.size() == 5);
      double area = 0;
      for (size_t i = 1; i < 5; ++i)
        area += (means[i - 1].get<double>() + means[i].get<double>()) / 8;
      CHECK(area == doctest::Approx(mean));
    }
    CHECK(table["rows"][row][3] == (row < 2 ? "less" : "more"));
  }
  // The same again from run.json.
  const CommandResult again =
      run_command({"faithfulness", fixture.labels, "--config", fixture.out + "/run.json", "--out",
                   fixture.folder.path("again")});
  INFO(again.err);
  REQUIRE(again.status == 0);
  CHECK(results_of(fixture.folder.path("again")) == results);
}

TEST_CASE("faithfulness command: maps of any method; without true masks one points at boxes") {
  const FaithfulnessFixture fixture;
  std::filesystem::remove_all(fixture.data + "/SegmentationObject");
  const std::string labels = fixture.folder.path("cam");
  REQUIRE(run_command({"pseudo-label", "--weights", fixture.weights, "--data", fixture.data,
                       "--split", "val", "--out", labels, "--method", "grad-cam", "--proposals",
                       "60", "--positive-iou", "0.5", "--objects", "4", "--short-side", "48"})
              .status == 0);
  std::vector<std::string> arguments{"faithfulness", labels,       "--weights",   fixture.weights,
                                     "--data",       fixture.data, "--out",       fixture.out,
                                     "--steps",      "2",          "--tolerance", "0"};
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(fixture.result()["method"] == "grad-cam");
  for (const json& object : fixture.result()["objects"]) {
    CHECK(object["pointing_at"] == "box");
    CHECK(object["filled_box"]["points"] == true);  // its middle
  }
}

TEST_CASE("faithfulness command: Ctrl-C ends it between two curves") {
  const FaithfulnessFixture fixture;
  interrupt_at_look(2);
  const CommandResult result = fixture.measure();
  set_interrupted(false);
  CHECK(result.status == 130);
  CHECK(contains(result.err, "stopped after 0 of "));
  CHECK(!std::filesystem::exists(fixture.out + "/run.json"));
}

TEST_CASE("faithfulness command: bad input gives one message") {
  const FaithfulnessFixture fixture;
  const auto error = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = fixture.measure(more);
    INFO(result.err);
    CHECK(is_error(result, part));
  };
  error({"--steps", "0"}, "--steps");
  error({"--split", "train"}, "has no maps of objects of this split");
  error({"--data", fixture.folder.path("none")}, "none");
  const auto settings = read_file(fixture.labels + "/settings.json");
  json other = json::parse(settings);
  other["jitter"] = {"much"};
  write_file(fixture.labels + "/settings.json", other.dump());
  error({}, "the setting jitter 'much' cannot be read");
  other = json::parse(settings);
  other.erase("seed");
  write_file(fixture.labels + "/settings.json", other.dump());
  error({}, "its settings.json has no seed");
  write_file(fixture.labels + "/settings.json", settings);
  write_disc_detector(fixture.weights, 3);
  error({}, "is not the detector that the maps of");
  std::filesystem::remove(fixture.labels + "/settings.json");
  error({}, "settings.json");
}
