#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "attribution/explain.h"
#include "attribution/gradient_maps.h"
#include "attribution/head_analysis.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

struct ProposalFixture : ExplainFixture {
  std::string out = folder.path("o");

  CommandResult measure(const std::vector<std::string>& more = {}) const {
    return run_command(with({"proposal-gradients", "--weights", weights, "--data", data, "--split",
                             "val", "--proposals", "60", "--positive-iou", "0.5", "--objects", "0",
                             "--threads", "1", "--out", out},
                            more));
  }
  json result() const { return results_of(out)["proposal_gradients"]; }
};

double side(const json& box, size_t k) { return box[k].get<double>(); }

}  // namespace

TEST_CASE("proposal-gradients: figure 8, METHOD A13, the figures are those of single proposals") {
  const ProposalFixture fixture;
  const CommandResult result = fixture.measure();
  INFO(result.err);
  REQUIRE(result.status == 0);
  const json found = fixture.result();
  LoadedDetector loaded = load_detector(fixture.weights, kCpu);
  const std::unique_ptr<ExplainedDetector> explained = explain(*loaded.model);
  ExplainedDetector& detector = *explained;
  PositiveSpec spec = BbamOptions::authors().positives;
  spec.proposals = 60;
  spec.iou_thresholds = {0.5};
  size_t next = 0;
  int64_t high = 0, inside = 0, without = 0;
  double overlap = 0;
  for (const Record& record : read_voc(fixture.data, "val").records) {
    const DetectorInput input = detector_input(read_picture(record), loaded.card, kCpu);
    const double scale = input.scale_x();
    for (const Object& object : record.objects) {
      const PixelBox b = resize_box(object.box, input.original, input.resized);
      const BoxArray box{b.x0, b.y0, b.x1, b.y1};
      const Positives positives = find_positives(detector, input.image, box, object.label, spec,
                                                 object_seed(1, record.id, object.id));
      if (positives.proposals.dim(0) == 0) {
        ++without;
        continue;
      }
      const json& one = found["objects"].at(next++);
      CHECK(one["image"] == record.id);
      CHECK(one["positives"] == positives.proposals.dim(0));
      overlap += mean_proposal_iou(positives);
      REQUIRE(one["gradients"].size() == 3);
      const auto at = positives.proposals.to_vector<float>();
      for (const json& gradient : one["gradients"]) {
        // Which proposal it is, by its place; then its map from the start.
        size_t row = 0;
        while (row < at.size() &&
               std::abs(at[row] / scale - side(gradient["proposal"], 0)) +
                       std::abs(at[row + 3] / input.scale_y() - side(gradient["proposal"], 3)) >
                   1e-3)
          row += 4;
        REQUIRE(row < at.size());
        const Tensor alone =
            Tensor::from<float>({at[row], at[row + 1], at[row + 2], at[row + 3]}, {1, 4});
        const Tensor map = simple_grad(detector, input.image, {box, object.label, alone});
        const auto values = map.to_vector<float>();
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        int64_t above = 0, within = 0;
        for (int y = 0; y < input.resized.height; ++y)
          for (int x = 0; x < input.resized.width; ++x) {
            const double v = values[size_t(y * input.resized.width + x)];
            if ((v - *least) / (double(*most) - *least) <= 0.9) continue;
            ++above;
            within += x + 0.5 >= at[row] && x + 0.5 < at[row + 2] && y + 0.5 >= at[row + 1] &&
                      y + 0.5 < at[row + 3];
          }
        CHECK(gradient["high_pixels"] == above);
        CHECK(gradient["inside"] == within);
        high += above;
        inside += within;
      }
    }
  }
  CHECK(next == found["objects"].size());
  REQUIRE(next > 0);
  CHECK(found["objects_without_positives"] == without);
  CHECK(found["high_pixels"] == high);
  CHECK(found["share_inside"].get<double>() == doctest::Approx(double(inside) / double(high)));
  CHECK(found["mean_proposal_iou"].get<double>() == doctest::Approx(overlap / double(next)));
  const json rows = results_of(fixture.out)["tables"][0]["rows"];
  CHECK(rows[0][2] == "87.0");
  CHECK(rows[1][2] == "0.56");
  CHECK(contains(result.out, "proposal, %"));
}

TEST_CASE("proposal-gradients: a sheet of the first objects; run.json repeats it") {
  const ProposalFixture fixture;
  REQUIRE(fixture.measure({"--sheet", "1", "--objects", "6", "--heads", "class"}).status == 0);
  const Image one = read_image(fixture.out + "/sheet.jpg");
  const json settings = json::parse(read_file(fixture.out + "/run.json"))["settings"];
  CHECK(settings["heads"] == "class");
  for (const char* name : {"lambda", "method", "samples"}) CHECK(!settings.contains(name));
  const std::string again = fixture.folder.path("again");
  const CommandResult repeated =
      run_command({"proposal-gradients", "--config", fixture.out + "/run.json", "--out", again});
  INFO(repeated.err);
  REQUIRE(repeated.status == 0);
  CHECK(results_of(again) == results_of(fixture.out));
  CHECK(read_file(again + "/sheet.jpg") == read_file(fixture.out + "/sheet.jpg"));
  REQUIRE(fixture.measure({"--out", fixture.folder.path("two"), "--sheet", "2"}).status == 0);
  CHECK(read_image(fixture.folder.path("two/sheet.jpg")).height > one.height + 200);
  REQUIRE(fixture.measure({"--out", fixture.folder.path("none"), "--sheet", "0"}).status == 0);
  CHECK(!std::filesystem::exists(fixture.folder.path("none/sheet.jpg")));
}

TEST_CASE("proposal-gradients: Ctrl-C, bad pictures and bad input") {
  const ProposalFixture fixture;
  interrupt_at_look(1);
  const CommandResult stopped = fixture.measure();
  set_interrupted(false);
  CHECK(stopped.status == 130);
  CHECK(contains(stopped.err, "stopped after 0 of "));
  const auto error = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = fixture.measure(more);
    INFO(result.err);
    CHECK(is_error(result, part));
  };
  error({"--weights", fixture.folder.path("none")}, "none");
  error({"--heads", "mask"}, "--heads");
  error({"--jitter", "2"}, "--jitter");
  error({"--split", "none"}, "none");
  const CommandResult unanswered = fixture.measure({"--positive-iou", "1"});
  CHECK(unanswered.status == 1);
  CHECK(contains(unanswered.err, "no proposal speaks for any of the"));
  const Record record = read_voc(fixture.data, "val").records[0];
  write_file(record.image_path, "no picture");
  const CommandResult result = fixture.measure();
  CHECK(result.status == 0);
  CHECK(contains(result.err, record.image_path));
  for (const json& object : fixture.result()["objects"]) CHECK(object["image"] != record.id);
}
