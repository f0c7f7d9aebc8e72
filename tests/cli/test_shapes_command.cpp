#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "datasets/voc.h"
#include "tensor/files.h"
#include "tests/cli/run_command.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

TEST_CASE("shapes command: writes both splits and how they were made") {
  TempFolder folder;
  const std::string root = folder.path("s");
  REQUIRE(run_command({"shapes", "--out", root, "--train", "3", "--val", "2", "--width", "64",
                       "--height", "48", "--max-objects", "2", "--seed", "5"})
              .status == 0);
  CHECK(read_voc(root, "train").records.size() == 3);
  const Dataset val = read_voc(root, "val");
  CHECK(val.records.size() == 2);
  CHECK(val.records[0].size() == ImageSize{64, 48});
  const auto record = nlohmann::json::parse(read_file(root + "/run.json"));
  CHECK(record["settings"]["max-objects"] == 2);
  CHECK(record["settings"]["seed"] == 5);
  // The settings of run.json make the same pictures again.
  REQUIRE(
      run_command({"shapes", "--config", root + "/run.json", "--out", folder.path("t")}).status ==
      0);
  CHECK(read_file(val.records[0].image_path) ==
        read_file(read_voc(folder.path("t"), "val").records[0].image_path));
}

TEST_CASE("shapes command: never into a folder that holds something else") {
  TempFolder folder;
  const std::string root = folder.path("voc");
  make_folder(root);
  write_file(root + "/classes.txt", "mine\n");
  const std::vector<std::string> small{"shapes", "--out",   root, "--train",  "1", "--val",
                                       "1",      "--width", "32", "--height", "32"};
  CHECK(is_error(run_command(small), "holds \"classes.txt\" and no settings.json"));
  CHECK(read_file(root + "/classes.txt") == "mine\n");
  std::filesystem::remove(root + "/classes.txt");
  CHECK(run_command(small).status == 0);
  CHECK(run_command(small).status == 0);  // the same set again
  std::vector<std::string> other = small;
  other[4] = "2";
  CHECK(is_error(run_command(other), "was begun with train '1', not '2'"));
}

TEST_CASE("shapes command: bad input") {
  CHECK(is_error(run_command({"shapes"}), "--out"));
  CHECK(is_error(run_command({"shapes", "--out", "/proc/nowhere"}), "/proc/nowhere"));
  CHECK(is_error(run_command({"shapes", "--out", "x", "--width", "8"}), "--width"));
}
