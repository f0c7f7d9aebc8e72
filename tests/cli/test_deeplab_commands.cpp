// bbam train deeplab, and bbam segment with what it trains.
#include <doctest/doctest.h>

#include <filesystem>

#include "cli/deeplab_file.h"
#include "cli/interrupt.h"
#include "cli/seen_example.h"
#include "cli/segment_semantic.h"
#include "datasets/shapes.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

struct Fixture {
  TempFolder folder;
  std::string data = folder.path("shapes");

  Fixture() { write_shapes(data, {.train = 6, .val = 2, .width = 96, .height = 72}); }

  CommandResult train(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run_command(
        test::with({"train",        "deeplab", "--data",  data, "--out",        folder.path(out),
                    "--masks",      "truth",   "--depth", "18", "--stem-width", "8",
                    "--norm",       "group",   "--crop",  "65", "--batch",      "2",
                    "--accumulate", "2",       "--steps", "4",  "--seed",       "5"},
                   more));
  }
  std::string bytes(const std::string& run) const {
    return read_file(folder.path(run + "/deeplab.safetensors")) +
           read_file(folder.path(run + "/log.csv"));
  }
};

}  // namespace

TEST_CASE("train deeplab: stopped, resumed, and with other threads, the bytes are the same") {
  const Fixture f;
  REQUIRE(f.train("whole").status == 0);
  REQUIRE(f.train("one", {"--threads", "1", "--workers", "0"}).status == 0);
  CHECK(f.bytes("whole") == f.bytes("one"));
  interrupt_at_look(3);
  const CommandResult stopped = f.train("half");
  set_interrupted(false);
  interrupt_at_look(0);
  CHECK(stopped.status == 130);
  REQUIRE(f.train("half", {"--resume"}).status == 0);
  CHECK(f.bytes("whole") == f.bytes("half"));
  CHECK(read_file(f.folder.path("half/log.csv"))
            .starts_with("step,rate,total,scale_1,scale_0.5,scale_0.75,maximum\n1,0.0001,"));
}

TEST_CASE("train deeplab: what its masks are decides what it learns") {
  const Fixture f;
  REQUIRE(f.train("truth").status == 0);
  REQUIRE(f.train("boxes", {"--masks", "boxes"}).status == 0);
  CHECK(f.bytes("truth") != f.bytes("boxes"));
  CHECK(is_error(f.train("truth", {"--resume", "--masks", "boxes"}), "masks"));
}

TEST_CASE("train deeplab: --loss balanced learns otherwise, and makes the same kind of file") {
  const Fixture f;
  REQUIRE(f.train("plain").status == 0);
  REQUIRE(f.train("named", {"--loss", "plain"}).status == 0);
  REQUIRE(f.train("balanced", {"--loss", "balanced"}).status == 0);
  CHECK(f.bytes("plain") == f.bytes("named"));
  CHECK(f.bytes("plain") != f.bytes("balanced"));
  CHECK(load_deeplab(f.folder.path("balanced/deeplab.safetensors"), kCpu).card.classes ==
        shape_classes());
  CHECK(is_error(f.train("plain", {"--resume", "--loss", "balanced"}),
                 "loss 'plain', not 'balanced'"));
  CHECK(is_error(f.train("none", {"--loss", "focal"}), "--loss"));
}

TEST_CASE("train deeplab: the network is read back whole; other files are refused by name") {
  const Fixture f;
  REQUIRE(f.train("run", {"--aspp-rates", "2,3", "--network-scales", "0.5"}).status == 0);
  const std::string path = f.folder.path("run/deeplab.safetensors");
  const LoadedDeepLab loaded = load_deeplab(path, kCpu);
  CHECK(loaded.card.classes == shape_classes());
  CHECK(loaded.model->spec().aspp_rates == std::vector<int>{2, 3});
  CHECK(loaded.model->spec().scales == std::vector<double>{0.5});
  const auto saved = read_safetensors(path).tensors;
  for (const auto& [name, tensor] : named_tensors(*loaded.model))
    CHECK(tensor.to_vector<float>() == saved.at(name).to_vector<float>());
  const std::string detector = f.folder.path("detector.safetensors");
  test::write_disc_detector(detector);
  CHECK_THROWS_WITH_AS(load_deeplab(detector, kCpu), doctest::Contains("is no DeepLab"), Error);
}

TEST_CASE("segment: class maps of a split, their figures, and those of single photographs") {
  const Fixture f;
  REQUIRE(f.train("run").status == 0);
  const std::string weights = f.folder.path("run/deeplab.safetensors"), out = f.folder.path("out");
  const auto segment = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"segment", "--weights", weights});
    return run_command(more);
  };
  const CommandResult result = segment(
      {"--data", f.data, "--split", "val", "--out", out, "--flip", "--scales", "0.75,1", "--crf"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "IoU"));
  LoadedDeepLab network = load_deeplab(weights, kCpu);
  const SemanticOptions options{{.scales = {0.75, 1}, .flip = true}, true};
  const Dataset dataset = read_dataset(f.data, "val");
  for (const Record& record : dataset.records) {
    const std::string map = out + "/SegmentationClass/" + record.id + ".png";
    const Image found = class_map_of(network, read_picture(record), kCpu, options);
    CHECK(read_label_png(map).pixels == found.pixels);
    SeenExample expected{record.id, "classes", {}, read_picture(record), {}, {}};
    expected.prediction = expected.photograph;
    expected.truth = expected.photograph;
    draw_class_map(expected.prediction, found);
    draw_class_map(*expected.truth, read_class_map(dataset, record));
    write_seen_example(f.folder.path("expected"), expected);
    for (const char* name : {"/image.jpg", "/prediction.jpg", "/truth.jpg"})
      CHECK(read_file(out + "/examples/" + record.id + name) ==
            read_file(f.folder.path("expected/" + record.id + name)));
  }
  const Record& first = dataset.records[0];
  REQUIRE(segment({first.image_path, "--out", f.folder.path("one")}).status == 0);
  CHECK(read_label_png(f.folder.path("one/SegmentationClass/" + first.id + ".png")).pixels ==
        class_map_of(network, read_picture(first), kCpu, {}).pixels);
  CHECK(read_image(f.folder.path("one/" + first.id + ".jpg")).size() == first.size());
  CHECK(is_error(segment({first.image_path, "--out", out, "--score", "0.5"}), "--score: is not"));
  // What cannot be written ends it, and is no fault of the photograph.
  std::filesystem::create_directories(f.folder.path("full/" + first.id + ".jpg/x"));
  CHECK(is_error(segment({first.image_path, "--out", f.folder.path("full")}),
                 first.id + ".jpg: could not be written"));
}
