#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "tensor/files.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

TEST_CASE("demo: every stage runs, leaves its record, and the page is written") {
  TempFolder folder;
  const std::string out = folder.path("my demo");  // a name that a shell would split
  const std::vector<std::string> arguments{"demo", "--out",   out, "--train",   "4", "--val",
                                           "2",    "--steps", "2", "--objects", "1", "--iterations",
                                           "2"};
  const CommandResult first = run_command(arguments);
  INFO(first.err);
  REQUIRE(first.status == 0);
  for (const char* stage : {"shapes", "train", "detect", "labels"}) {
    CHECK_MESSAGE(std::filesystem::exists(out + "/" + stage + "/run.json"), stage);
    CHECK_MESSAGE(contains(first.out, "--out '" + out + "/" + stage + "' "), stage);
  }
  CHECK(contains(first.out, "$ bbam train detector --data"));
  const auto record = nlohmann::json::parse(read_file(out + "/run.json"));
  CHECK(record["results"]["headline"].size() == 5);
  const std::string page = read_file(out + "/report.html");
  for (const char* part : {"Detections", "Pseudo labels", "Stage train", "train: train detector",
                           "labels: solve", "All settings"})
    CHECK_MESSAGE(contains(page, part), part);

  // What is done is not done again; a stage that is missing is.
  const auto trained = std::filesystem::last_write_time(out + "/train/detector.safetensors");
  std::filesystem::remove_all(out + "/detect");
  const CommandResult second = run_command(arguments);
  REQUIRE(second.status == 0);
  CHECK(contains(second.out, "$ bbam detect"));
  CHECK(!contains(second.out, "$ bbam train"));
  CHECK(std::filesystem::last_write_time(out + "/train/detector.safetensors") == trained);

  // The folder belongs to its settings.
  std::vector<std::string> others = arguments;
  others[8] = "3";
  CHECK(is_error(run_command(others), "steps"));
}

TEST_CASE("demo: with a map, its masks are studied, and stand in the page's tiles") {
  TempFolder folder;
  const std::string out = folder.path("demo");
  const std::vector<std::string> arguments{"demo", "--out",   out, "--train",   "4", "--val",
                                           "2",    "--steps", "1", "--objects", "8", "--iterations",
                                           "2"};
  REQUIRE(run_command(arguments).status == 0);
  bbam::test::write_disc_detector(out + "/train/detector.safetensors");
  for (const char* stage : {"detect", "labels"}) std::filesystem::remove_all(out + "/" + stage);
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto results_of = [](const std::string& file) {
    return nlohmann::json::parse(read_file(file))["results"];
  };
  const auto headline = results_of(out + "/run.json")["headline"];
  const auto columns = results_of(out + "/study/run.json")["study"]["columns"];
  const auto column = std::find_if(columns.begin(), columns.end(),
                                   [](const auto& c) { return c["setting"] == "theta 0.85"; });
  REQUIRE(column != columns.end());
  CHECK(headline[3]["value"] == fixed((*column)["mean_iou"], 2));
}

TEST_CASE("demo: bad input") {
  CHECK(is_error(run_command({"demo", "--out", "/proc/nowhere"}), "/proc/nowhere"));
  CHECK(is_error(run_command({"demo", "--steps", "0"}), "--steps"));
}
