// bbam demo: the whole method on generated pictures, as the commands that a user would type, one
// after the other. Stopped and started again, it goes on with the stage that was under way.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/run_record.h"
#include "cli/stages.h"
#include "cli/table.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

using nlohmann::json;

struct DemoOptions {
  std::string out = "out/demo";
  int train = 400, val = 60;  // pictures
  int steps = 1500;           // of training
  int objects = 12;           // explained
  int iterations = 300;       // of each
};

// Small enough for minutes on two cores: a thin ResNet-18 from random weights, on pictures of
// 192 x 144 pixels.
constexpr const char* kDetector =
    "--depth 18 --bottleneck-stride 3x3 --stem-width 32 --norm group --freeze-stages 0 "
    "--fpn-channels 64 --head-width 256 --anchor-sizes 16,32,64,128,256 --rois-per-image 64 "
    "--train-proposals 200 --test-proposals 100 --short-sides 144 --batch 4 --lr 0.05 --warmup 150";

struct Best {
  std::string setting;
  double iou = -1;
};

class Demo {
 public:
  Demo(const DemoOptions& options, Session& session)
      : options_(options), session_(session), stages_(options.out, session), record_(session) {}

  void run() {
    claim_folder(options_.out, decisive_settings(session_));
    const double start_s = profile::now_s();
    make_all();
    summarise();
    record_.write(stages_.path("run.json"));
    for (const std::string& problem : write_report(options_.out, stages_.path("report.html")))
      session_.warn(problem);
    session_.out << fmt::format("\n{} in {}: open it in a browser\n", stages_.path("report.html"),
                                format_duration(profile::now_s() - start_s));
  }

 private:
  void make_all() {
    const DemoOptions& o = options_;
    const auto text = [](int number) { return std::to_string(number); };
    const Arguments data{"--data", stages_.path("shapes"), "--split"},
        weights{"--weights", stages_.path("train/detector.safetensors")};
    stages_.run("shapes", {"shapes", "--train", text(o.train), "--val", text(o.val)});
    stages_.run("train", Arguments{"train", "detector"} + data +
                             Arguments{"train", "--steps", text(o.steps)} + words_of(kDetector));
    stages_.run("detect", Arguments{"detect"} + weights + data + Arguments{"val"});
    stages_.run("labels",
                Arguments{"pseudo-label"} + weights + data +
                    Arguments{"val", "--objects", text(o.objects), "--examples", text(o.objects),
                              "--iterations", text(o.iterations), "--snapshots", snapshots()});
    // Without a single map there is nothing to study.
    if (stages_.results("labels")["mean_positives"] > 0)
      stages_.run("study", Arguments{"study", stages_.path("labels")} + data + Arguments{"val"});
  }

  std::string snapshots() const {
    std::string list = "1";
    for (const int iteration : {50, 100})
      if (iteration < options_.iterations) list += "," + std::to_string(iteration);
    return list;
  }

  // The tiles of the page, from what the stages have found; they have tables of their own.
  void summarise() {
    const json detected = stages_.results("detect")["boxes"], labelled = stages_.results("labels");
    std::map<std::string, Best> best = best_of_study();
    const int64_t solved =
        labelled["objects"].get<int64_t>() - labelled["fallbacks"]["no_map"].get<int64_t>();
    const double seconds =
        labelled["seconds"]["solve"].get<double>() / double(std::max<int64_t>(1, solved));
    const double ap50 = detected["voc_ap50"], mask_iou = labelled["mean_mask_iou"];
    json& results = record_.results();
    results = {{"voc_ap50", ap50}, {"mean_mask_iou", mask_iou}, {"seconds_per_map", seconds}};
    results["headline"] = {
        tile(percent(ap50) + " %",
             fmt::format("average precision (IoU 0.5) of the detector on {} pictures that it has "
                         "not seen",
                         options_.val)),
        tile(iou_text(best["filled box"].iou), "mean IoU of the filled box with the true mask"),
        tile(iou_text(best["filled box + CRF"].iou), "of the filled box refined by the CRF alone"),
        tile(iou_text(iou_of_masks()),
             fmt::format("of the masks that BBAM made of these {} boxes", solved)),
        tile(fixed(seconds, 1) + " s",
             fmt::format("for each map, {} iterations", options_.iterations))};
  }

  // Of the study too, so that it is of the same objects: those that have a map. -1 without a study.
  double iou_of_masks() const {
    if (!stages_.done("study")) return -1;
    const double theta = stages_.settings("labels")["theta-fg"];
    const json columns = stages_.results("study")["study"]["columns"];
    for (const json& column : columns)
      if (column["from"] == "map, authors' label step" &&
          column["setting"] == fmt::format("theta {}", theta))
        return column["mean_iou"];
    fail("the study has no masks at theta ", theta);
  }

  // By family; empty without a study.
  std::map<std::string, Best> best_of_study() const {
    std::map<std::string, Best> best;
    if (!stages_.done("study")) return best;
    const json columns = stages_.results("study")["study"]["columns"];
    for (const json& column : columns) {
      Best& so_far = best[column["from"]];
      const double iou = column["mean_iou"];
      if (iou > so_far.iou) so_far = {column["setting"], iou};
    }
    return best;
  }

  static std::string iou_text(double iou) { return iou < 0 ? "-" : fixed(iou, 2); }

  static json tile(const std::string& value, const std::string& label) {
    return {{"value", value}, {"label", label}};
  }

  const DemoOptions& options_;
  Session& session_;
  Stages stages_;
  RunRecord record_;
};

}  // namespace

void add_demo(Program& program) {
  auto options = std::make_shared<DemoOptions>();
  Command command =
      program.add("demo", "The whole method on generated pictures; writes a report page");
  command.option("--out", options->out, "folder to write; the page is report.html in it");
  command.option("--train", options->train, "generated pictures to train on").between(1, 1e6);
  command.option("--val", options->val, "and to be judged on").between(1, 1e6);
  command.option("--steps", options->steps, "of training the detector").between(1, 1e7);
  command.option("--objects", options->objects, "to make masks of").between(1, 1e6);
  command.option("--iterations", options->iterations, "of each object's mask").between(1, 1e6);
  command.footer(
      "Runs shapes, train detector, detect, pseudo-label and study, says how, and writes the "
      "page.");
  command.action([options](Session& session) { Demo(*options, session).run(); });
}

}  // namespace bbam
