#include "cli/train_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "cli/detect.h"
#include "cli/interrupt.h"
#include "datasets/shapes.h"
#include "tensor/files.h"
#include "tests/cli/explain_fixture.h"
#include "tests/cli/tiny_training.h"

using namespace bbam;
using test::tiny_training;
using test::with;

namespace {

int run(const std::vector<std::string>& arguments, const std::vector<std::string>& more,
        std::string* error = nullptr) {
  std::ostringstream out, err;
  const int status = run_program(with(arguments, more), out, err);
  if (error) *error = err.str();
  return status;
}

// The same with Ctrl-C behind the given step of this leg.
int run_until(int step, const std::vector<std::string>& arguments,
              const std::vector<std::string>& more, std::string* error = nullptr) {
  interrupt_at_look(step + 1);
  const int status = run(arguments, more, error);
  set_interrupted(false);
  interrupt_at_look(0);
  return status;
}

int64_t saved_step(const std::string& out) {
  return std::stoll(read_safetensors(out + "/checkpoint.safetensors").metadata.at("step"));
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
  REQUIRE(run(tiny_training("detector", data, folder.path("whole")), {"--threads", "2"}) == 0);
  REQUIRE(run(tiny_training("detector", data, folder.path("one")),
              {"--threads", "1", "--workers", "0"}) == 0);
  CHECK(bytes("whole") == bytes("one"));

  // Stopped behind step 3, and then twice before it has made another step.
  const auto half =
      with(tiny_training("detector", data, folder.path("half")), {"--checkpoint-every", "0"});
  std::string error;
  CHECK(run_until(3, half, {}, &error) == 130);
  CHECK(error.find("stopped at step 3 of 6; go on with --resume") != std::string::npos);
  CHECK(saved_step(folder.path("half")) == 3);
  CHECK(!std::filesystem::exists(folder.path("half/detector.safetensors")));
  const std::string saved = read_file(folder.path("half/checkpoint.safetensors"));
  CHECK(run_until(0, half, {"--resume"}, &error) == 130);
  CHECK(error.find("stopped at step 3 of 6") != std::string::npos);
  CHECK(read_file(folder.path("half/checkpoint.safetensors")) == saved);
  // The seconds of all legs count.
  write_file(folder.path("half/seconds.txt"), "1000\n");
  REQUIRE(run(half, {"--resume"}) == 0);
  CHECK(bytes("whole") == bytes("half"));
  const auto record = nlohmann::json::parse(read_file(folder.path("half/run.json")));
  CHECK(record["seconds"]["train detector"] > 1000);
}

TEST_CASE("train: what was trained is overwritten only where --resume asks for it") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  const auto training = tiny_training("detector", data, folder.path("run"));
  const std::string checkpoint = folder.path("run/checkpoint.safetensors");
  std::string error;
  CHECK(run_until(0, training, {}, &error) == 130);
  CHECK(error.find("nothing to go on from") != std::string::npos);
  CHECK(!std::filesystem::exists(checkpoint));

  CHECK(run_until(1, training, {}) == 130);
  const std::string saved = read_file(checkpoint), log = read_file(folder.path("run/log.csv"));
  CHECK(run_until(0, training, {}, &error) == 1);
  CHECK(error.find(checkpoint + ": is there already; add --resume") != std::string::npos);
  CHECK(read_file(checkpoint) == saved);
  CHECK(read_file(folder.path("run/log.csv")) == log);

  REQUIRE(run(training, {"--resume"}) == 0);
  std::filesystem::remove(checkpoint);
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--resume"}, {}}) {
    CHECK(run(training, more, &error) == 1);
    CHECK(error.find("run/detector.safetensors") != std::string::npos);
  }
}

TEST_CASE("train: a loss that is not finite leaves the last checkpoint as it is") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  const std::vector<std::string> wild{"--lr", "1000", "--warmup", "0", "--steps", "60"};
  std::string error;
  CHECK(run(tiny_training("detector", data, folder.path("none")),
            with(wild, {"--checkpoint-every", "0"}), &error) == 1);
  INFO(error);
  CHECK(error.find("the loss is not finite") != std::string::npos);
  CHECK(error.find("no checkpoint had been written") != std::string::npos);
  CHECK(!std::filesystem::exists(folder.path("none/checkpoint.safetensors")));
  CHECK(read_file(folder.path("none/log.csv")).starts_with("step,"));

  CHECK(run(tiny_training("detector", data, folder.path("some")),
            with(wild, {"--checkpoint-every", "1"}), &error) == 1);
  const int64_t step = saved_step(folder.path("some"));
  CHECK(error.find(join(folder.path("some/checkpoint.safetensors"), " is as it was after step ",
                        step)) != std::string::npos);
}

TEST_CASE("train: a checkpoint whose description was tampered with is refused by name") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder), out = folder.path("run");
  REQUIRE(run(tiny_training("detector", data, out), {"--steps", "1"}) == 0);
  const std::string checkpoint = out + "/checkpoint.safetensors";
  const SafetensorsFile whole = read_safetensors(checkpoint);
  const auto refused = [&](const std::string& key, const std::string& value) {
    auto metadata = whole.metadata;
    metadata[key] = value;
    write_safetensors(checkpoint, whole.tensors, metadata);
    std::string message;
    CHECK(run(tiny_training("detector", data, out), {"--steps", "1", "--resume"}, &message) == 1);
    CHECK(message.find(checkpoint) != std::string::npos);
    return message;
  };
  for (const char* step : {"x", "", "-1", "3x", "99999999999999999999"})
    CHECK(refused("step", step).find("its 'step' is") != std::string::npos);
  CHECK(refused("next_batch", "1e3").find("its 'next_batch' is") != std::string::npos);
  CHECK(refused("settings", "{").find("settings cannot be read") != std::string::npos);

  const auto description = [&](const std::string& name, const nlohmann::json& value) {
    auto metadata = whole.metadata;
    auto card = nlohmann::json::parse(metadata.at("detector"));
    card[name] = value;
    metadata["detector"] = card.dump();
    std::string message;
    try {
      card_of(metadata, "d.safetensors");
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK(message.starts_with("d.safetensors: the detector's description"));
  };
  description("stem_width", -8);
  description("fpn_channels", 2000000000);
  description("head_width", 0);
  description("freeze_stages", 6);
  description("bottleneck_stride", "5x5");
  description("top_down", "cubic");
  description("classes", nlohmann::json::array());
  description("short_side", 0);
  description("long_side", 1);
  description("anchor_sizes", "many");
  description("anchor_sizes", {16, 32, -64, 96, 128});
}

TEST_CASE("train: a run is resumed with the settings that it was begun with, or not at all") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder), out = folder.path("run");
  const std::string checkpoint = out + "/checkpoint.safetensors";
  REQUIRE(run(tiny_training("detector", data, out), {"--steps", "1"}) == 0);
  std::string error;
  const auto differs = [&](const std::vector<std::string>& more, const std::string& how) {
    const int status =
        run(tiny_training("detector", data, out), with({"--steps", "1", "--resume"}, more), &error);
    INFO(error);
    CHECK(status == 1);
    CHECK(error.find(checkpoint + ": was begun with " + how) != std::string::npos);
  };
  differs({"--lr", "0.02"}, "lr '0.01', not '0.02'");
  differs({"--batch", "1", "--warmup", "7"}, "batch '2', not '1'");
  differs({"--warmup", "7"}, "warmup '500', not '7'");
  differs({"--steps", "2"}, "steps '1', not '2'");
  differs({"--epochs", "3"}, "epochs '12', not '3'");
  differs({"--short-sides", "72"}, "short-sides '64,72', not '72'");
  differs({"--freeze-stages", "1"}, "freeze-stages '0', not '1'");
  differs({"--split", "val"}, "split 'train', not 'val'");
  const std::string list = data + "/ImageSets/Main/train.txt", all = read_file(list);
  write_file(list, all.substr(0, all.find('\n') + 1));
  differs({}, "data's content 'fnv1a64:");
  differs({"--data", data + "/."}, "data '" + data + "', not '" + data + "/.'");
  write_file(list, all);
  differs({"--classes", "disc"}, "classes '', not 'disc'");
  differs({"--fpn-channels", "24"}, "fpn-channels '16', not '24'");
  differs({"--seed", "6"}, "seed '5', not '6'");
  // What does not change the bytes may: where the data lie, threads, how often to save.
  std::filesystem::rename(data, folder.path("moved"));
  CHECK(run(tiny_training("detector", folder.path("moved"), out),
            {"--steps", "1", "--resume", "--threads", "1", "--workers", "1", "--checkpoint-every",
             "9"}) == 0);

  // Earlier versions wrote no settings; their checkpoints are still gone on with.
  SafetensorsFile old = read_safetensors(checkpoint);
  old.metadata.erase("settings");
  for (auto& [name, tensor] : old.tensors) tensor = tensor.clone();
  write_safetensors(checkpoint, old.tensors, old.metadata);
  const auto here = tiny_training("detector", folder.path("moved"), out);
  CHECK(run(here, {"--steps", "1", "--resume", "--fpn-channels", "24"}, &error) == 1);
  CHECK(error.find("made with another architecture") != std::string::npos);
  CHECK(run(here, {"--steps", "1", "--resume", "--seed", "6"}, &error) == 1);
  CHECK(error.find("was made with --seed 5") != std::string::npos);
  CHECK(run(here, {"--steps", "2", "--resume"}, &error) == 0);
  CHECK(error.find("does not say all settings") != std::string::npos);
}

TEST_CASE("train: a picture that cannot be read is told, and resuming goes on behind it") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  write_file(data + "/JPEGImages/000002.jpg", "no picture");
  const auto training = [&](const std::string& out) {
    return with(tiny_training("detector", data, folder.path(out)),
                {"--batch", "1", "--steps", "12"});
  };
  const std::string list = data + "/ImageSets/Main/train.txt";
  write_file(list, read_file(list) + "gone\n");
  std::string error;
  REQUIRE(run(training("whole"), {}, &error) == 0);
  CHECK(error.find("000002.jpg") != std::string::npos);
  CHECK(error.find("bbam: 2 pictures were passed over\n") != std::string::npos);
  const auto record = nlohmann::json::parse(read_file(folder.path("whole/run.json")));
  CHECK(record["results"]["pictures_left_out"] == 2);
  REQUIRE(run_until(7, training("half"), {}) == 130);
  REQUIRE(run(training("half"), {"--resume"}) == 0);
  CHECK(read_file(folder.path("whole/detector.safetensors")) ==
        read_file(folder.path("half/detector.safetensors")));
  CHECK(read_file(folder.path("whole/log.csv")) == read_file(folder.path("half/log.csv")));
}

TEST_CASE("train: a trained detector is read back whole, and detects") {
  const test::TempFolder folder;
  const std::string data = tiny_shapes(folder);
  REQUIRE(run(tiny_training("detector", data, folder.path("run")), {"--steps", "1"}) == 0);
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
    const int status = run(tiny_training("detector", data, out), more, &error);
    INFO(error);
    CHECK(status == 1);
    CHECK(error.find(about) != std::string::npos);
  };
  complains({"--init", folder.path("none.pth")}, "none.pth");
  complains({"--depth", "20"}, "ResNet-20 is not known");
  complains({"--anchor-sizes", "16,32"}, "2 anchor sizes; expected 5");
  complains({"--norm", "other"}, "--norm");
  for (const char* milestones : {"0.5,1.5", "-0.1", "0,0.5", "nan", "0.9,0.5", "0.5,0.5"})
    complains({"--milestones", milestones}, "--milestones: expected ascending fractions");
  complains({"--short-sides", "64,0"}, "--short-sides: 0 is not between 1 and 65536");
  complains({"--anchor-sizes", "16,32,-64,96,128"}, "--anchor-sizes: -64 is not between");
  complains({"--long-side", "65537"}, "--long-side: 65537 is not between 1 and 65536");
  complains({"--lr", "-0.01"}, "--lr: -0.01 is not between");
  complains({"--batch", "0"}, "--batch: 0 is not between");
  // What the detector's file could not be read back with is told before it is trained.
  complains({"--test-short-side", "129"}, "--test-short-side 129 is more than --long-side 128");
  complains({"--short-sides", "64,130"}, "--test-short-side 130 is more than --long-side 128");
  CHECK(!std::filesystem::exists(out));
  const std::string classes = data + "/classes.txt", names = read_file(classes);
  write_file(classes, names + "\ncaf\xe9\n");  // Latin-1
  complains({}, "classes.txt: line " +
                    std::to_string(std::count(names.begin(), names.end(), '\n') + 2) +
                    " is not UTF-8");
  write_file(classes, names);
  REQUIRE(run(tiny_training("detector", data, out), {"--steps", "1"}) == 0);
  write_file(folder.path("run/checkpoint.safetensors"), "not a checkpoint");
  complains({"--resume"}, "checkpoint.safetensors");
  CHECK(run({"detect"}, {"--weights", folder.path("shapes/classes.txt"), "x.jpg"}, &error) == 1);
  CHECK(error.find("classes.txt") != std::string::npos);
}
