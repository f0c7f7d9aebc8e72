#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/detector_file.h"
#include "cli/instances_json.h"
#include "datasets/dataset.h"
#include "datasets/image.h"
#include "tensor/files.h"
#include "tests/cli/run_command.h"
#include "tests/cli/tiny_voc.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

// An untrained detector of cats and dogs, and pictures: what it finds is noise, but it finds.
struct Fixture {
  TempFolder folder;
  std::string weights = folder.path("w.safetensors"), voc = folder.path("voc");

  Fixture() {
    DetectorCard card;
    card.options = {.depth = 18,
                    .stem_width = 8,
                    .norm = "group",
                    .freeze_stages = 0,
                    .fpn_channels = 16,
                    .anchor_sizes = {8, 16, 32, 64, 128},
                    .head_width = 32,
                    .test_proposals = 50};
    card.classes = {"cat", "dog"};
    card.short_side = 64;
    card.long_side = 128;
    FasterRcnn model(detector_spec(card.options, 2), 3);
    save_detector(weights, model, card);
    test::write_tiny_voc(voc);
  }
  std::string picture(const std::string& id) const { return voc + "/JPEGImages/" + id + ".jpg"; }
};

}  // namespace

TEST_CASE("detect command: a folder stands for its pictures") {
  const Fixture f;
  const std::string out = f.folder.path("out");
  const auto detected = [&](const std::vector<std::string>& pictures) {
    std::filesystem::remove_all(out);
    std::vector<std::string> line{"detect", "--weights", f.weights, "--out", out};
    line.insert(line.end(), pictures.begin(), pictures.end());
    REQUIRE(run_command(line).status == 0);
    return read_file(out + "/detections.json");
  };
  const std::vector<std::string> pictures = pictures_in(f.voc + "/JPEGImages");
  REQUIRE(pictures.size() > 1);
  CHECK(detected({f.voc + "/JPEGImages"}) == detected(pictures));
  CHECK(is_error(run_command({"detect", "--weights", f.weights, f.voc}), "holds no .jpg"));
}

TEST_CASE("detect command: pictures, one of them bad") {
  const Fixture f;
  const std::string bad = f.folder.path("bad.jpg"), out = f.folder.path("out");
  write_file(bad, "no picture");
  const CommandResult result = run_command({"detect", "--weights", f.weights, f.picture("a"), bad,
                                            f.picture("b"), "--out", out, "--score", "0.1"});
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "bad.jpg"));
  CHECK(contains(result.err, "1 of 3 pictures were passed over"));
  const auto found = read_instances(out + "/detections.json");
  REQUIRE(!found.empty());
  for (const Instance& instance : found) {
    CHECK((instance.image_id == "a" || instance.image_id == "b"));
    CHECK((instance.category == 1 || instance.category == 2));
    CHECK(instance.score > 0.1);
    CHECK(instance.box.x0 >= 0);
    CHECK(instance.box.x1 <= 40.001);
    CHECK(instance.box.y1 <= 30.001);
  }
  CHECK(read_image(out + "/a.jpg").size() == ImageSize{40, 30});
  CHECK(read_image(out + "/a.jpg").pixels != read_image(f.picture("a")).pixels);
  CHECK(!std::filesystem::exists(out + "/bad.jpg"));
  CHECK(nlohmann::json::parse(read_file(out + "/run.json"))["inputs"][0]["path"] == f.weights);
  CHECK(is_error(
      run_command({"detect", "--weights", f.weights, f.picture("a"), "--config", "/nowhere"}),
      "/nowhere"));
}

TEST_CASE("detect command: photographs are never written over") {
  const Fixture f;
  const std::string photographs = f.voc + "/JPEGImages", before = read_file(f.picture("a"));
  const auto detect = [&](const std::vector<std::string>& images, const std::string& out) {
    std::vector<std::string> arguments{"detect", "--weights", f.weights, "--out", out};
    arguments.insert(arguments.end(), images.begin(), images.end());
    return run_command(arguments);
  };
  const std::string what = "is one of the photographs";
  CHECK(is_error(detect({f.picture("b"), f.picture("a")}, photographs), what));
  CHECK(is_error(detect({f.picture("a")}, f.folder.path("none/../voc/JPEGImages/.")), what));
  CHECK(read_file(f.picture("a")) == before);
  std::filesystem::create_directory(f.folder.path("other"));
  std::filesystem::copy(f.picture("b"), f.folder.path("other/a.png"));
  CHECK(is_error(detect({f.picture("a"), f.folder.path("other/a.png")}, f.folder.path("out")),
                 "a.png: would be drawn to"));
  CHECK(!std::filesystem::exists(f.folder.path("out")));
  // The names of other folders' pictures do no harm.
  CHECK(detect({f.picture("a")}, f.folder.path("other")).status == 0);
}

TEST_CASE("detect command: a split, and its figures") {
  const Fixture f;
  const std::string out = f.folder.path("out");
  const CommandResult result =
      run_command({"detect", "--weights", f.weights, "--data", f.voc, "--out", out});
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "VOC AP50"));
  // The figures of detect are those of evaluate on the file that it has written.
  REQUIRE(run_command({"evaluate", "boxes", out + "/detections.json", "--data", f.voc, "--out",
                       f.folder.path("e.json")})
              .status == 0);
  const auto from_file = nlohmann::json::parse(read_file(f.folder.path("e.json")))["results"];
  const auto at_once = nlohmann::json::parse(read_file(out + "/run.json"))["results"]["boxes"];
  CHECK(at_once["coco"] == from_file["coco"]);
  CHECK(at_once["voc_ap50"] == from_file["voc_ap50"]);
}

TEST_CASE("detect command: pictures that a split lacks are no misses") {
  const Fixture f;
  write_file(f.picture("a"), "no picture");
  const std::string out = f.folder.path("out");
  const std::vector<std::string> detect{"detect", "--weights", f.weights, "--data",
                                        f.voc,    "--out",     out};
  CHECK(run_command(detect).status == 0);
  const auto record = nlohmann::json::parse(read_file(out + "/run.json"));
  CHECK(record["results"]["pictures_passed_over"] == 1);
  CHECK(record["inputs"][1]["path"] == f.voc);
  write_jpeg(f.picture("b"), Image(21, 20, 3));
  const CommandResult none = run_command(detect);
  CHECK(none.status == 1);
  CHECK(contains(none.err, "b.jpg: is 21 x 20 pixels; its annotation says 20 x 20"));
  CHECK(contains(none.err, "voc: none of the 2 pictures could be used"));
}

TEST_CASE("detect command: every picture of a split that was passed over counts") {
  const Fixture f;
  write_file(f.voc + "/ImageSets/Main/val.txt", "a\nb\ngone\n");
  write_file(f.picture("a"), "no picture");
  const std::string out = f.folder.path("out");
  const CommandResult result =
      run_command({"detect", "--weights", f.weights, "--data", f.voc, "--out", out});
  REQUIRE(result.status == 0);
  CHECK(contains(result.err, "bbam: 2 pictures were passed over\n"));
  const auto record = nlohmann::json::parse(read_file(out + "/run.json"));
  CHECK(record["results"]["pictures_passed_over"] == 2);
}

TEST_CASE("detect command: weights that are no numbers are refused") {
  const Fixture f;
  const SafetensorsFile whole = read_safetensors(f.weights);
  const std::string name = "roi_heads.box_predictor.cls_score.bias";
  REQUIRE(whole.tensors.count(name) == 1);
  for (const float value : {std::nanf(""), HUGE_VALF}) {
    TensorMap tensors;
    for (const auto& [key, tensor] : whole.tensors) tensors[key] = tensor.clone();
    tensors.at(name).mutable_data<float>()[1] = value;
    write_safetensors(f.weights, tensors, whole.metadata);
    CHECK(is_error(run_command({"detect", "--weights", f.weights, f.picture("a")}),
                   "w.safetensors: tensor '" + name + "' holds numbers that are not finite"));
  }
}

TEST_CASE("detect command: what cannot be written ends it, whatever the pictures") {
  const Fixture f;
  const std::string out = f.folder.path("out");
  make_folder(out + "/a.jpg/in the way");
  const CommandResult result =
      run_command({"detect", "--weights", f.weights, f.picture("a"), f.picture("b"), "--out", out});
  CHECK(is_error(result, "a.jpg: could not be written"));
  // A name that detections.json could not hold is told before anything is done.
  const std::string latin = f.folder.path("caf\xe9.jpg");
  std::filesystem::copy(f.picture("a"), latin);
  CHECK(is_error(run_command({"detect", "--weights", f.weights, f.picture("a"), latin, "--out",
                              f.folder.path("none")}),
                 "its name is not UTF-8"));
  CHECK(!std::filesystem::exists(f.folder.path("none")));
  CHECK(run_command({"detect", "--weights", f.weights, latin}).status == 0);
}

TEST_CASE("detect command: bad input") {
  const Fixture f;
  CHECK(is_error(run_command({"detect", "--weights", f.weights}), "either photographs or --data"));
  CHECK(is_error(run_command({"detect", f.picture("a")}), "--weights"));
  CHECK(is_error(run_command({"detect", "--weights", f.picture("a"), f.picture("a")}), "a.jpg"));
  CHECK(is_error(run_command({"detect", "--weights", f.weights, "--data", f.voc, "--split", "x"}),
                 "x"));
  CHECK(is_error(
      run_command({"detect", "--weights", f.weights, f.picture("a"), "--out", f.picture("b")}),
      "b.jpg"));
  const CommandResult none =
      run_command({"detect", "--weights", f.weights, f.folder.path("no.jpg")});
  CHECK(none.status == 1);
  CHECK(contains(none.err, "none of the 1 pictures could be used"));
}
