// bbam reproduce, under a protocol of a few steps.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/comparison.h"
#include "cli/interrupt.h"
#include "cli/reproduction.h"
#include "datasets/shapes.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

Protocol tiny_protocol() {
  const std::string trunk =
      " --depth 18 --stem-width 8 --norm group --steps 2 --checkpoint-every 0 --batch 1";
  // As test::write_disc_detector has them.
  const std::string detector = trunk +
                               " --fpn-channels 8 --head-width 16 --anchor-sizes 16,32,64,96,128 "
                               "--test-proposals 16 --short-sides 64 --long-side 96";
  Protocol p;
  p.name = "tiny";
  p.detector = p.noise_detector = words_of(detector);
  p.train_pictures = words_of("--pictures 2");
  p.val_pictures = words_of("--pictures 2");
  p.most_positives = 10;
  p.solver = words_of("--iterations 2 --snapshots 1 --proposals 20 --positive-iou 0.5");
  p.instances = words_of(detector + " --mask-width 8 --mask-convs 1");
  p.classes = words_of(trunk + " --crop 65 --accumulate 1");
  p.studied_objects = 3;
  p.lambdas = {0.001, 0.007};
  p.noises = {-0.2, 0, 0.2};
  return p;
}

struct Fixture {
  TempFolder folder;
  ReproduceOptions options;
  std::ostringstream out, err;
  Session session{out, err, false};
  int threads_before = threads();

  Fixture() {
    options.data = folder.path("shapes");
    options.out = folder.path("run");
    write_shapes(options.data, {.train = 3, .val = 3, .width = 96, .height = 72, .seed = 4});
    session.settings["threads"] = {"1"};
    session.given = {"threads"};
  }
  ~Fixture() { set_threads(threads_before); }

  // The stages that were run, as the user is told.
  std::vector<std::string> said() {
    std::vector<std::string> stages;
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);)
      if (const size_t at = line.find("--out "); line.starts_with("$ bbam") && at < line.size())
        stages.push_back(std::filesystem::path(line.substr(at + 6, line.find(' ', at + 6) - at - 6))
                             .filename()
                             .string());
    out.str("");
    return stages;
  }
};

}  // namespace

TEST_CASE("reproduce: tables share their runs, and what is done is not done again") {
  Fixture fixture;
  Reproduction runs(fixture.options, tiny_protocol(), fixture.session);
  const Outcome first = table1(runs);
  const std::vector<std::string> stages = fixture.said();
  CHECK(stages == std::vector<std::string>{"detector", "instances-truth", "instances-truth-val",
                                           "instances-boxes", "instances-boxes-val", "labels",
                                           "labels-refined", "instances-refined",
                                           "instances-refined-val"});
  REQUIRE(first.tables.size() == 1);
  CHECK(first.claims.size() == 5);
  table4(runs);
  CHECK(fixture.said() == std::vector<std::string>{"instances-bbam", "instances-bbam-val"});
  table1(runs);
  CHECK(fixture.said().empty());
  // Masks come from where the row says.
  const auto masks = [&](const std::string& stage) {
    return nlohmann::json::parse(read_file(runs.path(stage + "/run.json")))["settings"]["masks"]
        .get<std::string>();
  };
  CHECK(masks("instances-truth") == "truth");
  CHECK(masks("instances-boxes") == "boxes");
  CHECK(masks("instances-refined") == runs.path("labels-refined"));
}

TEST_CASE("reproduce: every table and figure runs to its end") {
  Fixture fixture;
  // A detector that has positives for every disc; one of two steps may have none at all.
  make_folder(fixture.options.out + "/detector");
  test::write_disc_detector(fixture.options.out + "/detector/detector.safetensors");
  write_file(fixture.options.out + "/detector/run.json", "{}");
  Reproduction runs(fixture.options, tiny_protocol(), fixture.session);
  std::set<std::string> names;
  for (const Experiment& experiment : experiments()) {
    CAPTURE(experiment.name);
    names.insert(experiment.name);
    const Outcome outcome = experiment.run(runs);
    REQUIRE(!outcome.tables.empty());
    std::ostringstream text;
    text << outcome.tables[0].second;
    const bool has_paper_rows = experiment.name[0] == 't' || experiment.name == "figure8";
    CHECK(contains(text.str(), "paper") == has_paper_rows);
    for (const Plot& plot : outcome.plots) CHECK(!svg_of(plot).empty());
    const bool is_sweep = experiment.name == "table6";
    CHECK(outcome.claims.empty() == is_sweep);
  }
  CHECK(names == std::set<std::string>{"table1", "table3", "table4", "table5", "table6", "figure4",
                                       "figure6", "figure7a", "figure7b", "figure7c", "figure8"});
}

TEST_CASE("reproduce: stopped, the command goes on; it writes its tables, plots and the page") {
  Fixture fixture;
  const std::string out = fixture.options.out;
  std::vector<std::string> command{"reproduce", "figure8", "--data",    fixture.options.data,
                                   "--out",     out,       "--threads", "1"};
  set_interrupted(true);
  const test::CommandResult stopped = run_command(command);
  set_interrupted(false);
  CHECK(stopped.status == 130);
  CHECK(contains(stopped.err, "the same command goes on"));
  // As if its stages had come to their ends.
  make_folder(out + "/detector");
  write_file(out + "/detector/run.json", "{}");
  make_folder(out + "/proposal-gradients");
  write_file(out + "/proposal-gradients/run.json",
             R"({"results": {"proposal_gradients": {"share_inside": 0.9,
                                                    "mean_proposal_iou": 0.61}}})");
  const test::CommandResult done = run_command(command);
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK(contains(done.out, "90.0     87"));
  const auto results = [&](const std::string& run) {
    return nlohmann::json::parse(read_file(run + "/run.json"))["results"];
  };
  CHECK(results(out + "/figure8")["tables"][0]["rows"][1] ==
        nlohmann::json{"mean IoU of positive proposals with the predictions", "0.61", "0.56"});
  CHECK(results(out + "/figure8")["claims"][0]["holds"] == true);
  CHECK(results(out)["results_of"] == nlohmann::json{"figure8"});
  CHECK(results(out)["headline"][0]["value"] == "1 of 1");
  CHECK(contains(read_file(out + "/report.html"), "Figure 8 and section 5"));
  // The folder belongs to its settings, and which tables are asked for is none of them.
  CHECK(is_error(run_command(test::with(command, {"--refine", "none"})), "refine"));
  command[1] = "table1";
  CHECK(contains(run_command(command).err, "detector.safetensors"));  // begun, and not there
}

TEST_CASE("reproduce: a folder knows the protocol that it was begun with") {
  const Protocol first = tiny_protocol();
  CHECK(text_of(first) == text_of(tiny_protocol()));
  Protocol other = first;
  other.classes.push_back("--flip");
  CHECK(text_of(other) != text_of(first));
  other = first;
  other.noises.pop_back();
  CHECK(text_of(other) != text_of(first));
}

TEST_CASE("reproduce: ours stand above the paper's, in its units") {
  Comparison t("masks", {"AP50", "ABO", "mIoU"});
  const auto figures = t.ours("BBAM", {{"instances", {{"coco", {{"AP50", 0.5}}}, {"abo", nullptr}}},
                                       {"semantic", {{"mean_iou", 0.25}}}});
  CHECK(figures.at("AP50") == 0.5);
  CHECK(figures.at("ABO") == -1);
  t.paper("BBAM", {"63.7", "63.0", "73.7"});
  const auto rows = t.table().json("")["rows"];
  CHECK(rows[0] == nlohmann::json{"ours", "BBAM", "50.0", "-", "25.0"});
  CHECK(rows.back() == nlohmann::json{"paper", "BBAM", "63.7", "63.0", "73.7"});
}

TEST_CASE("reproduce: bad input") {
  const Fixture fixture;
  const std::string out = fixture.folder.path("o");
  CHECK(is_error(run_command({"reproduce", "table2", "--data", fixture.options.data, "--out", out}),
                 "table2"));
  CHECK(is_error(run_command({"reproduce", "table1", "--data", "/no/where", "--out", out}),
                 "/no/where: no such folder"));
  CHECK(is_error(run_command({"reproduce", "table1", "--data", fixture.options.data, "--out", out,
                              "--scale", "full"}),
                 "--init"));
  CHECK(is_error(run_command({"reproduce", "table1", "--data", fixture.options.data, "--out",
                              fixture.options.data}),
                 fixture.options.data));
}
