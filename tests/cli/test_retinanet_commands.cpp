// RetinaNet in the commands: bbam train retinanet, and those that take its weights.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attribution/explained_retinanet.h"
#include "cli/detect.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"
#include "tests/cli/tiny_training.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

// A RetinaNet that calls every anchor "disc" and hardly moves it.
void write_disc_retinanet(const std::string& path) {
  DetectorCard card;
  card.options.architecture = kRetinaNet;
  card.options.depth = 18;
  card.options.stem_width = 8;
  card.options.norm = "group";
  card.options.fpn_channels = 8;
  card.options.anchor_sizes = {16, 24, 32, 64, 128};
  card.options.subnet_convs = 1;
  card.options.candidates = 40;
  card.classes = shape_classes();
  card.short_side = 64;
  card.long_side = 96;
  const auto classes = int64_t(card.classes.size());
  const auto model = make_detector(card.options, classes, 3);
  model->visit("", [&](const std::string& name, Variable& variable) {
    if (!name.ends_with("cls_logits.bias")) return;
    float* bias = variable.mutable_value().mutable_data<float>();
    for (int64_t k = 0; k < variable.value().size(); k += classes) bias[k] = 2;
  });
  save_detector(path, *model, card);
}

struct RetinaNetFixture : ExplainFixture {
  Record record = read_voc(data, "val").records[0];

  RetinaNetFixture() { write_disc_retinanet(weights); }
  CommandResult attribute(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run({"attribute", "--weights", weights, "--image", record.image_path, "--out",
                folder.path(out), "--box", "20,10,44,34", "--class", "disc"},
               more);
  }
  // The network of the file, without the commands.
  RetinaNet by_hand() const {
    const SafetensorsFile file = read_safetensors(weights);
    const DetectorCard card = card_of(file.metadata, weights);
    RetinaNet model(retinanet_spec(card.options, int64_t(card.classes.size())), 0);
    load_tensors(model, file.tensors, weights);
    return model;
  }
};

std::string tiny_shapes(const TempFolder& folder) {
  const std::string data = folder.path("shapes");
  write_shapes(data, {.train = 6, .val = 2, .width = 96, .height = 72});
  return data;
}

}  // namespace

TEST_CASE("train retinanet: stopped, resumed, and with other threads, the bytes are the same") {
  const TempFolder folder;
  const std::string data = tiny_shapes(folder);
  const auto train = [&](const std::string& out, const std::vector<std::string>& more = {}) {
    return run_command(with(tiny_training("retinanet", data, folder.path(out)), more));
  };
  const auto bytes = [&](const std::string& out) {
    return read_file(folder.path(out + "/retinanet.safetensors")) +
           read_file(folder.path(out + "/log.csv"));
  };
  REQUIRE(train("whole", {"--threads", "2"}).status == 0);
  REQUIRE(train("one", {"--threads", "1", "--workers", "0"}).status == 0);
  CHECK(bytes("whole") == bytes("one"));
  interrupt_at_look(4);
  const CommandResult stopped = train("half");
  set_interrupted(false);
  interrupt_at_look(0);
  CHECK(stopped.status == 130);
  CHECK(contains(stopped.err, "stopped at step 3 of 6"));
  REQUIRE(train("half", {"--resume"}).status == 0);
  CHECK(bytes("whole") == bytes("half"));
  const std::string log = read_file(folder.path("half/log.csv"));
  CHECK(log.starts_with("step,rate,total,classification,box\n"));
  // METHOD B1: 0.005 for 8 pictures, from a third of it; here are 2.
  const std::string first = log.substr(log.find("\n1,") + 3);
  CHECK(std::stod(first) == doctest::Approx(0.005 * 2 / 8 / 3).epsilon(1e-4));

  LoadedDetector loaded = load_detector(folder.path("whole/retinanet.safetensors"), kCpu);
  CHECK(loaded.card.options.architecture == kRetinaNet);
  CHECK(loaded.card.options.subnet_convs == 1);
  CHECK(loaded.card.classes == shape_classes());
  CHECK(dynamic_cast<RetinaNet*>(loaded.model.get()) != nullptr);
}

TEST_CASE("train retinanet: options of the other architecture are not offered") {
  const TempFolder folder;
  const std::string data = tiny_shapes(folder), out = folder.path("o");
  const auto refused = [&](const std::string& network, const std::string& option) {
    const CommandResult result =
        run_command(with(tiny_training(network, data, out), {option, "8"}));
    INFO(option);
    CHECK(is_error(result, option));
    CHECK(!contains(run_command({"train", network, "--help"}).out, option));
  };
  for (const char* option : {"--head-width", "--rois-per-image", "--train-proposals"})
    refused("retinanet", option);
  for (const char* option : {"--subnet-convs", "--candidates"}) refused("detector", option);
  CHECK(is_error(run_command(with(tiny_training("retinanet", data, out), {"--anchor-sizes", "8"})),
                 "1 anchor sizes; expected 5, for P3 to P7"));
}

TEST_CASE("detector file: says its architecture; files without it are Faster R-CNNs") {
  DetectorCard card;
  card.classes = {"a"};
  const auto described = [&](const std::string& change, const json& value) {
    auto metadata = to_metadata(card);
    json j = json::parse(metadata.at(kCardKey));
    if (!change.empty()) j[change] = value;
    metadata[kCardKey] = j.dump();
    return card_of(metadata, "d.safetensors");
  };
  // The description that every file had before there were two architectures.
  const json before{{"depth", 50},
                    {"stem_width", 64},
                    {"norm", "frozen"},
                    {"bottleneck_stride", "1x1"},
                    {"freeze_stages", 2},
                    {"fpn_channels", 256},
                    {"head_width", 1024},
                    {"top_down", "bilinear"},
                    {"rois_per_image", 512},
                    {"anchor_sizes", {32.0, 64.0, 128.0, 256.0, 512.0}},
                    {"train_proposals", 2000},
                    {"test_proposals", 1000},
                    {"classes", {"a"}},
                    {"short_side", 800},
                    {"long_side", 1333}};
  CHECK(to_metadata(card).at(kCardKey) == before.dump());
  CHECK(described("", {}).options.architecture == kFasterRcnn);
  CHECK(described("architecture", "faster-rcnn").options.architecture == kFasterRcnn);

  card.options.architecture = kRetinaNet;
  card.options.subnet_convs = 3;
  card.options.candidates = 77;
  const DetectorOptions read = described("", {}).options;
  CHECK(read.architecture == kRetinaNet);
  CHECK(read.subnet_convs == 3);
  CHECK(retinanet_spec(read, 1).candidates == 77);
  const auto refused = [&](const std::string& name, const json& value, const char* part) {
    CHECK_THROWS_WITH_AS(described(name, value), doctest::Contains(part), Error);
  };
  refused("architecture", "yolo",
          "d.safetensors: the detector's description says architecture "
          "'yolo'; expected faster-rcnn or retinanet");
  refused("subnet_convs", -1, "d.safetensors: the detector's description says subnet-convs -1");
  refused("candidates", 0, "candidates 0");
  refused("candidates", "many", "d.safetensors: the detector's description cannot be read");
}

TEST_CASE("detect command: weights of a RetinaNet, as the network itself finds") {
  const RetinaNetFixture f;
  const std::string out = f.folder.path("found");
  REQUIRE(run_command({"detect", "--weights", f.weights, f.record.image_path, "--score", "0.5",
                       "--out", out})
              .status == 0);
  const auto found = read_instances(out + "/detections.json");
  RetinaNet model = f.by_hand();
  const DetectorCard card = card_of(read_safetensors(f.weights).metadata, f.weights);
  const DetectorInput input = detector_input(read_image(f.record.image_path), card, kCpu);
  const FrameSize frame{.height = input.resized.height, .width = input.resized.width};
  const Detections expected = model.detect(input.image, {frame})[0];
  const auto boxes = boxes_to_photograph(expected.boxes, input).to_vector<float>();
  REQUIRE(!found.empty());
  REQUIRE(int64_t(found.size()) == expected.scores.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].category == 1);
    CHECK(found[i].box.x0 == doctest::Approx(boxes[4 * i]).epsilon(1e-4));
    CHECK(found[i].box.y1 == doctest::Approx(boxes[4 * i + 3]).epsilon(1e-4));
  }
  const CommandResult split =
      run_command({"detect", "--weights", f.weights, "--data", f.data, "--split", "val"});
  CHECK(split.status == 0);
  CHECK(contains(split.out, "VOC AP50"));
}

TEST_CASE("attribute: a RetinaNet's map is the solver's, and --jitter is told to do nothing") {
  const RetinaNetFixture f;
  const std::vector<std::string> loose{"--positive-iou", "0.4"};
  const CommandResult plain = f.attribute("o", loose);
  INFO(plain.err);
  REQUIRE(plain.status == 0);
  CHECK(!contains(plain.err, "--jitter"));
  const std::string place = join(f.folder.path("o"), "/objects/", f.record.id, "-0");
  const auto map = read_npy(place + "/map_003.npy").to_vector<float>();

  RetinaNet model = f.by_hand();
  ExplainedRetinaNet explained(model);
  const DetectorCard card = card_of(read_safetensors(f.weights).metadata, f.weights);
  const DetectorInput input = detector_input(read_image(f.record.image_path), card, kCpu);
  BbamOptions options = BbamOptions::authors();
  options.iterations = 3;
  options.positives.proposals = 60;
  options.positives.iou_thresholds = {0.4};
  options.fixed_stride_px = 6;
  options.scale_stride = false;
  const PixelBox b = resize_box({20, 10, 44, 34}, input.original, input.resized);
  const auto expected =
      solve_bbam(explained, input.image, {{{b.x0, b.y0, b.x1, b.y1}, 1, 0}}, options);
  REQUIRE(expected[0].positives > 0);
  CHECK(map == expected[0].mask.to_vector<float>());

  const CommandResult jittered = f.attribute("j", with(loose, {"--jitter", "0.1"}));
  REQUIRE(jittered.status == 0);
  CHECK(contains(jittered.err, "--jitter does nothing: RetinaNet's candidates are its anchors"));
  const std::string other = join(f.folder.path("j"), "/objects/", f.record.id, "-0");
  CHECK(read_npy(other + "/map_003.npy").to_vector<float>() == map);
}

TEST_CASE("pseudo-label: weights of a RetinaNet; maps of discs alone") {
  const RetinaNetFixture f;
  const CommandResult result = f.label("o", {"--positive-iou", "0.4", "--jitter", "0.2"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "--jitter does nothing"));
  size_t maps = 0;
  for (const Record& record : read_voc(f.data, "val").records)
    for (size_t k = 0; k < record.objects.size(); ++k)
      if (std::filesystem::exists(join(f.folder.path("o"), "/maps/", record.id, "-", k, ".npy"))) {
        ++maps;
        CHECK(record.objects[k].label == 1);
      }
  CHECK(maps > 0);
}

TEST_CASE("train mask-rcnn, segment: a RetinaNet is refused by name") {
  const RetinaNetFixture f;
  const CommandResult result =
      run_command(with(tiny_training("mask-rcnn", f.data, f.folder.path("m")),
                       {"--masks", "truth", "--init", f.weights}));
  CHECK(is_error(result, "detector.safetensors: is a retinanet; expected a Faster R-CNN"));
  CHECK(is_error(run_command({"segment", "--weights", f.weights, f.record.image_path, "--out",
                              f.folder.path("s")}),
                 "detector.safetensors: is a detector without masks"));
}
