// The methods of figure 7(c) behind bbam attribute and bbam pseudo-label.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "attribution/explain.h"
#include "attribution/gradient_maps.h"
#include "cli/draw.h"
#include "cli/explain.h"
#include "cli/label_store.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

struct GradientFixture : ExplainFixture {
  Dataset dataset = read_voc(data, "val");

  CommandResult label_by(const std::string& method, const std::string& out,
                         const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"pseudo-label",
                                       "--weights",
                                       weights,
                                       "--data",
                                       data,
                                       "--split",
                                       "val",
                                       "--out",
                                       folder.path(out),
                                       "--method",
                                       method,
                                       "--proposals",
                                       "60",
                                       "--threads",
                                       "1",
                                       "--positive-iou",
                                       "0.5",
                                       "--objects",
                                       "6"};
    if (method == "smooth-grad") arguments = with(arguments, {"--samples", "3", "--noise", "0.1"});
    return run_command(with(arguments, more));
  }
};

using Values = std::vector<float>;

// Of every object with a map, by the functions of attribution/ alone.
std::map<std::string, Values> expected_maps(const GradientFixture& fixture,
                                            const std::string& method, ScoreOf score,
                                            const std::map<std::string, LabelledImage>& labelled) {
  LoadedDetector loaded = load_detector(fixture.weights, kCpu);
  const std::unique_ptr<ExplainedDetector> explained = explain(*loaded.model);
  ExplainedDetector& detector = *explained;
  PositiveSpec spec = BbamOptions::authors().positives;
  spec.proposals = 60;
  spec.iou_thresholds = {0.5};
  std::map<std::string, Values> maps;
  for (const Record& record : fixture.dataset.records) {
    const auto found = labelled.find(record.id);
    if (found == labelled.end()) continue;
    const DetectorInput input = detector_input(read_picture(record), loaded.card, kCpu);
    for (const LabelledObject& o : found->second.objects) {
      const Object& object = record.objects[size_t(o.object)];
      const PixelBox b = resize_box(object.box, input.original, input.resized);
      const uint64_t seed = object_seed(1, record.id, object.id);
      ObjectProposals asked{{b.x0, b.y0, b.x1, b.y1}, object.label, {}};
      const Positives positives =
          find_positives(detector, input.image, asked.box, asked.label, spec, seed);
      CHECK(positives.proposals.dim(0) == o.positives);
      if (o.positives == 0) continue;
      asked.proposals = positives.proposals;
      const SmoothGradSpec smooth{.samples = 3, .noise = 0.1, .seed = seed};
      const Tensor map = method == "simple-grad" ? simple_grad(detector, input.image, asked, score)
                         : method == "smooth-grad"
                             ? smooth_grad(detector, input.image, asked, score, smooth)
                             : grad_cam(detector, input.image, asked, score);
      Values values = resize_map(map, record.size()).to_vector<float>();
      const float most = *std::max_element(values.begin(), values.end());
      for (float& value : values) value /= most;
      maps[join(record.id, "-", o.object)] = values;
    }
  }
  return maps;
}

std::map<std::string, LabelledImage> images_in(const GradientFixture& fixture,
                                               const std::string& run) {
  std::map<std::string, LabelledImage> images;
  for (const Record& record : fixture.dataset.records)
    if (const auto image = LabelStore(fixture.folder.path(run)).read(record.id))
      images[record.id] = *image;
  return images;
}

std::map<std::string, Values> maps_in(const std::string& run) {
  std::map<std::string, Values> maps;
  for (const auto& entry : std::filesystem::directory_iterator(run + "/maps")) {
    const Tensor map = read_npy(entry.path().string());
    CHECK(map.shape() == Shape{48, 72});  // the photograph's
    maps[entry.path().stem().string()] = map.to_vector<float>();
  }
  return maps;
}

}  // namespace

TEST_CASE("pseudo-label: figure 7(c), the maps are those of SimpleGrad, SmoothGrad and Grad-CAM") {
  const GradientFixture fixture;
  for (const std::string method : {"simple-grad", "smooth-grad", "grad-cam"}) {
    CAPTURE(method);
    const CommandResult result = fixture.label_by(method, method);
    INFO(result.err);
    REQUIRE(result.status == 0);
    const std::string out = fixture.folder.path(method);
    const auto maps = maps_in(out);
    CHECK(!maps.empty());
    const auto labelled = images_in(fixture, method);
    CHECK(maps == expected_maps(fixture, method, ScoreOf::kBoth, labelled));
    for (const auto& [id, values] : maps)
      CHECK(*std::max_element(values.begin(), values.end()) == 1);
    for (const auto& [id, image] : labelled)
      for (const LabelledObject& o : image.objects) {
        CHECK(o.stride_px == 0);
        CHECK((o.source == LabelSource::kNoMap) == (o.positives == 0));
        CHECK(rle_area(o.foreground) > 0);
      }
    CHECK(run_command({"report", out}).status == 0);
    CHECK(contains(read_file(out + "/report.html"), "map<"));
    CHECK(!contains(read_file(out + "/report.html"), "map after"));
  }
}

TEST_CASE("pseudo-label: gradient maps ask the heads that are named") {
  const GradientFixture fixture;
  std::map<std::string, std::map<std::string, Values>> maps;
  for (const auto& [heads, score] : {std::pair{"box", ScoreOf::kBox}, {"class", ScoreOf::kClass}}) {
    REQUIRE(fixture.label_by("simple-grad", heads, {"--heads", heads}).status == 0);
    maps[heads] = maps_in(fixture.folder.path(heads));
    CHECK(maps[heads] == expected_maps(fixture, "simple-grad", score, images_in(fixture, heads)));
  }
  CHECK(maps["box"] != maps["class"]);
}

TEST_CASE("pseudo-label: every method has the same positive proposals") {
  const GradientFixture fixture;
  REQUIRE(fixture.label("bbam", {"--objects", "6"}).status == 0);
  REQUIRE(fixture.label_by("grad-cam", "cam").status == 0);
  const auto solved = images_in(fixture, "bbam"), others = images_in(fixture, "cam");
  REQUIRE(solved.size() == others.size());
  int64_t positives = 0;
  for (const auto& [id, image] : solved)
    for (size_t i = 0; i < image.objects.size(); ++i) {
      const LabelledObject &a = image.objects[i], &b = others.at(id).objects[i];
      CHECK(a.positives == b.positives);
      CHECK(a.positive_iou == b.positive_iou);
      CHECK(a.mean_positive_iou == b.mean_positive_iou);
      positives += a.positives;
    }
  CHECK(positives > 0);
}

TEST_CASE("pseudo-label: a folder of one method is not gone on with by another") {
  const GradientFixture fixture;
  REQUIRE(fixture.label_by("simple-grad", "o").status == 0);
  const auto before = labels_in(fixture.folder.path("o"));
  CHECK(is_error(fixture.label_by("grad-cam", "o"),
                 "was begun with method 'simple-grad', not 'grad-cam'"));
  CHECK(fixture.label_by("simple-grad", "o").status == 0);
  CHECK(labels_in(fixture.folder.path("o")) == before);
  REQUIRE(fixture.label_by("smooth-grad", "s").status == 0);
  CHECK(is_error(fixture.label_by("smooth-grad", "s", {"--samples", "2"}), "samples '3', not '2'"));
}

TEST_CASE("pseudo-label: reused maps bring their method with them, and run.json repeats a run") {
  const GradientFixture fixture;
  REQUIRE(fixture.label_by("smooth-grad", "o").status == 0);
  const std::string o = fixture.folder.path("o"), reused = fixture.folder.path("reused"),
                    again = fixture.folder.path("again");
  const std::vector<std::string> reuse{"pseudo-label", "--data", fixture.data, "--split", "val",
                                       "--reuse-maps", o,        "--objects",  "6",       "--label",
                                       "paper",        "--out"};
  const CommandResult result = run_command(with(reuse, {reused}));
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(maps_in(reused) == maps_in(o));
  const json settings = json::parse(read_file(reused + "/run.json"))["settings"];
  CHECK(settings["method"] == "smooth-grad");
  CHECK(settings["samples"] == 3);
  for (const char* name : {"lambda", "iterations", "stride", "scale-stride"})
    CHECK(!settings.contains(name));
  CHECK(is_error(run_command(with(reuse, {fixture.folder.path("x"), "--method", "grad-cam"})),
                 "--method: the maps of --reuse-maps are solved already"));
  for (const std::string& run : {o, reused}) {
    const std::string to = again + stored_name(run);
    const CommandResult repeated =
        run_command({"pseudo-label", "--config", run + "/run.json", "--out", to});
    INFO(repeated.err);
    CHECK(repeated.status == 0);
    CHECK(labels_in(to) == labels_in(run));
  }
}

TEST_CASE("pseudo-label: options that do nothing for the method are refused") {
  const GradientFixture fixture;
  const auto error = [&](const std::string& method, const std::vector<std::string>& more,
                         const std::string& part) {
    const CommandResult result = fixture.label_by(method, "o", more);
    INFO(result.err);
    CHECK(is_error(result, part));
  };
  error("simple-grad", {"--lambda", "0.1"}, "--lambda: does nothing for --method simple-grad");
  error("grad-cam", {"--iterations", "3"}, "--iterations: does nothing for --method grad-cam");
  error("grad-cam", {"--no-scale-stride"}, "--scale-stride: does nothing for --method grad-cam");
  error("smooth-grad", {"--snapshots", "3"}, "--snapshots: does nothing for --method smooth-grad");
  error("simple-grad", {"--samples", "3"}, "--samples: does nothing for --method simple-grad");
  error("bbam", {"--noise", "0.3"},
        "--noise: does nothing for --method bbam, only for smooth-grad");
  error("smooth-grad", {"--samples", "0"}, "--samples");
  error("cam", {}, "--method");
  CHECK(!std::filesystem::exists(fixture.folder.path("o")));
}

TEST_CASE("attribute: the map of a gradient method as heat map and .npy") {
  const GradientFixture fixture;
  const Record record = fixture.dataset.records[0];
  const auto attribute = [&](const std::string& out, const std::vector<std::string>& more) {
    return run_command(
        with({"attribute", "--weights", fixture.weights, "--image", record.image_path, "--box",
              "10,8,60,40", "--class", "disc", "--proposals", "60", "--positive-iou", "0.5",
              "--method", "grad-cam", "--threads", "1", "--out", fixture.folder.path(out)},
             more));
  };
  const CommandResult result = attribute("o", {});
  INFO(result.err);
  REQUIRE(result.status == 0);
  const std::string place = join(fixture.folder.path("o"), "/objects/", record.id, "-0");
  const Values map = read_npy(place + "/map.npy").to_vector<float>();
  CHECK(*std::max_element(map.begin(), map.end()) == 1);
  std::vector<std::string> problems;
  const Example example = read_example(place, problems);
  CHECK(problems.empty());
  CHECK(example.proposals > 0);
  CHECK(example.curve.rows.empty());
  REQUIRE(example.maps.size() == 1);
  CHECK(example.maps.at(0).to_vector<float>() == map);
  CHECK(is_error(attribute("x", {"--stride", "6"}), "--stride: does nothing"));
  // A class that nothing speaks for.
  REQUIRE(attribute("none", {"--class", "square"}).status == 0);
  for (const float v :
       read_npy(fixture.folder.path("none/objects/" + record.id + "-0/map.npy")).to_vector<float>())
    CHECK(v == 0);
}
