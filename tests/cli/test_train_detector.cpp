#include "cli/train_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "cli/command.h"
#include "cli/detect.h"
#include "cli/interrupt.h"
#include "datasets/shapes.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

// A detector that trains in seconds, on pictures to match.
std::vector<std::string> tiny_training(const std::string& data, const std::string& out) {
  return {"train",
          "detector",
          "--data",
          data,
          "--out",
          out,
          "--depth",
          "18",
          "--stem-width",
          "8",
          "--norm",
          "group",
          "--freeze-stages",
          "0",
          "--fpn-channels",
          "16",
          "--head-width",
          "32",
          "--anchor-sizes",
          "16,32,64,96,128",
          "--rois-per-image",
          "32",
          "--train-proposals",
          "64",
          "--test-proposals",
          "64",
          "--batch",
          "2",
          "--short-sides",
          "64,72",
          "--long-side",
          "128",
          "--steps",
          "6",
          "--checkpoint-every",
          "3",
          "--seed",
          "5"};
}

// The arguments with these options added, or their values replaced.
std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  for (size_t i = 0; i < more.size(); ++i) {
    const auto found = std::find(arguments.begin(), arguments.end(), more[i]);
    const bool replaces =
        more[i].starts_with("--") && found != arguments.end() && i + 1 < more.size();
    if (replaces)
      *(found + 1) = more[++i];
    else
      arguments.push_back(more[i]);
  }
  return arguments;
}

int run(const std::vector<std::string>& arguments, const std::vector<std::string>& more,
        std::string* error = nullptr) {
  std::ostringstream out, err;
  const int status = run_program(with(arguments, more), out, err);
  if (error) *error = err.str();
  return status;
}

std::string tiny_shapes(const test::TempFolder& folder) {
  const std::string data = folder.path("shapes");
  write_shapes(data, {.train = 6, .val = 2, .width = 96, .height = 72});
  return data;
}

}  // namespace

TEST_CASE(
    "train: resumed from a checkpoint, and with another number of threads, the bytes are the "
    "same") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  const auto bytes = [&](const std::string& run) {
    return read_file(folder.path(run + "/detector.safetensors")) +
           read_file(folder.path(run + "/log.csv"));
  };
  REQUIRE(run(tiny_training(data, folder.path("whole")), {"--threads", "2"}) == 0);
  REQUIRE(run(tiny_training(data, folder.path("one")), {"--threads", "1", "--workers", "0"}) == 0);
  CHECK(bytes("whole") == bytes("one"));

  // Stopped after the checkpoint of step 3: what came later is lost and done again.
  auto half = tiny_training(data, folder.path("half"));
  REQUIRE(run(half, {}) == 0);
  std::filesystem::remove(folder.path("half/detector.safetensors"));
  std::filesystem::remove(folder.path("half/checkpoint.safetensors"));
  set_interrupted(true);
  std::string error;
  CHECK(run(half, {}, &error) == 130);
  set_interrupted(false);
  CHECK(error.find("go on with --resume") != std::string::npos);
  REQUIRE(run(half, {"--resume"}) == 0);
  CHECK(bytes("whole") == bytes("half"));
}

TEST_CASE("train: a picture that cannot be read is told, and resuming goes on behind it") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  write_file(data + "/JPEGImages/000002.jpg", "no picture");
  const auto training = [&](const std::string& out, const std::string& steps) {
    // No milestones and no warm-up, so that the rate does not depend on the number of steps.
    return with(tiny_training(data, folder.path(out)),
                {"--batch", "1", "--steps", steps, "--warmup", "0", "--milestones", "2"});
  };
  std::string error;
  REQUIRE(run(training("whole", "12"), {}, &error) == 0);
  CHECK(error.find("000002.jpg") != std::string::npos);
  REQUIRE(run(training("half", "7"), {}) == 0);
  REQUIRE(run(training("half", "12"), {"--resume"}) == 0);
  CHECK(read_file(folder.path("whole/detector.safetensors")) ==
        read_file(folder.path("half/detector.safetensors")));
  CHECK(read_file(folder.path("whole/log.csv")) == read_file(folder.path("half/log.csv")));
}

TEST_CASE("train: a trained detector is read back whole, and detects") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  REQUIRE(run(tiny_training(data, folder.path("run")), {"--steps", "1"}) == 0);
  LoadedDetector detector = load_detector(folder.path("run/detector.safetensors"), kCpu);
  CHECK(detector.card.classes == shape_classes());
  CHECK(detector.card.short_side == 72);
  CHECK(detector.label_of(shape_classes()[1]) == 2);
  CHECK_THROWS_AS(detector.label_of("unicorn"), Error);
  CHECK(run({"detect"}, {"--weights", folder.path("run/detector.safetensors"), "--data", data,
                         "--split", "val", "--out", folder.path("found")}) == 0);
  CHECK(std::filesystem::exists(folder.path("found/detections.json")));
}

TEST_CASE("train: wrong input gives one message and exit status 1") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder), out = folder.path("run");
  std::string error;
  const auto complains = [&](const std::vector<std::string>& more, const std::string& about) {
    const int status = run(tiny_training(data, out), more, &error);
    INFO(error);
    CHECK(status == 1);
    CHECK(error.find(about) != std::string::npos);
  };
  complains({"--init", folder.path("none.pth")}, "none.pth");
  complains({"--depth", "20"}, "ResNet-20 is not known");
  complains({"--anchor-sizes", "16,32"}, "2 anchor sizes; expected 5");
  complains({"--norm", "other"}, "--norm");
  REQUIRE(run(tiny_training(data, out), {"--steps", "1"}) == 0);
  complains({"--resume", "--fpn-channels", "24"}, "made with another architecture");
  complains({"--resume", "--seed", "6"}, "was made with --seed 5");
  write_file(folder.path("run/checkpoint.safetensors"), "not a checkpoint");
  complains({"--resume"}, "checkpoint.safetensors");
  CHECK(run({"detect"}, {"--weights", folder.path("shapes/classes.txt"), "x.jpg"}, &error) == 1);
  CHECK(error.find("classes.txt") != std::string::npos);
}
