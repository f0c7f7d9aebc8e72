#include <doctest/doctest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/bbam_options.h"
#include "cli/example.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using namespace bbam::test;
using nlohmann::json;

namespace {

struct AttributeFixture : ExplainFixture {
  Record record = read_voc(data, "val").records[0];
  std::string annotations = data + "/Annotations/" + record.id + ".xml";

  CommandResult attribute(const std::string& out, const std::vector<std::string>& more) const {
    return run({"attribute", "--weights", weights, "--image", record.image_path, "--out",
                folder.path(out)},
               more);
  }
  Example example(const std::string& run, int object) const {
    std::vector<std::string> problems;
    const Example read =
        read_example(join(folder.path(run), "/objects/", record.id, "-", object), problems);
    CHECK(problems.empty());
    return read;
  }
};

// All files of the objects but object.json, which has the seconds.
std::map<std::string, std::string> maps_in(const std::string& run) {
  auto files = files_in(run + "/objects");
  CHECK(std::erase_if(files, [](const auto& f) { return f.first.ends_with("object.json"); }) > 0);
  return files;
}

}  // namespace

TEST_CASE("attribute: a given box as map, heat map and curve") {
  const AttributeFixture fixture;
  const std::vector<std::string> box{"--box", "10,8,60,40", "--class", "disc"};
  const CommandResult result = fixture.attribute("o", box);
  INFO(result.err);
  REQUIRE(result.status == 0);
  const Example example = fixture.example("o", 0);
  CHECK(example.subject.class_name == "disc");
  CHECK(example.subject.box == PixelBox{10, 8, 60, 40});
  CHECK(example.stride_px == 6);
  CHECK(example.proposals > 0);
  REQUIRE(example.maps.size() == 3);                   // snapshots 1 and 2, and the last
  CHECK(example.maps.at(3).shape() == Shape{10, 16});  // 64 / 6, 96 / 6, truncated
  const std::vector<std::string> columns{"iteration", "total", "area", "box", "class", "tv"};
  CHECK(example.curve.columns == columns);
  REQUIRE(example.curve.rows.size() == 3);
  for (const auto& row : example.curve.rows)
    CHECK(row[1] == doctest::Approx(row[2] + row[3] + row[4] + row[5]));
  const std::string place = join(fixture.folder.path("o"), "/objects/", fixture.record.id, "-0");
  CHECK(read_npy(place + "/map.npy").shape() == Shape{48, 72});
  CHECK(read_image(place + "/heat.png").size() == ImageSize{72, 48});
  CHECK(json::parse(read_file(fixture.folder.path("o/run.json")))["results"]["objects"] == 1);
  // Again with another number of threads: the same bytes.
  std::vector<std::string> threads = box;
  threads.insert(threads.end(), {"--threads", "2"});
  REQUIRE(fixture.attribute("again", threads).status == 0);
  CHECK(maps_in(fixture.folder.path("again")) == maps_in(fixture.folder.path("o")));
}

TEST_CASE("attribute: the settings of run.json make the same maps again") {
  const AttributeFixture fixture;
  REQUIRE(fixture.attribute("o", {"--box", "10,8,60,40", "--class", "disc", "--preset", "paper"})
              .status == 0);
  const auto settings = json::parse(read_file(fixture.folder.path("o/run.json")))["settings"];
  CHECK(settings["scale-stride"] == false);
  CHECK(settings["tv"] == 0);
  const CommandResult again =
      run_command({"attribute", "--config", fixture.folder.path("o/run.json"), "--out",
                   fixture.folder.path("again")});
  INFO(again.err);
  REQUIRE(again.status == 0);
  CHECK(maps_in(fixture.folder.path("again")) == maps_in(fixture.folder.path("o")));
}

TEST_CASE("attribute: a folder holds the objects of one run") {
  const AttributeFixture fixture;
  const std::vector<std::string> box{"--box", "10,8,60,40", "--class", "disc"};
  REQUIRE(fixture.attribute("o", box).status == 0);
  const auto maps = maps_in(fixture.folder.path("o"));
  write_file(join(fixture.folder.path("o"), "/objects/", fixture.record.id, "-0/map_002.npy"), "");
  REQUIRE(fixture.attribute("o", box).status == 0);  // the same again
  CHECK(maps_in(fixture.folder.path("o")) == maps);
  std::vector<std::string> other = box;
  other.insert(other.end(), {"--snapshots", "1"});
  CHECK(contains(fixture.attribute("o", other).err, "was begun with snapshots '1,2', not '1'"));
  write_disc_detector(fixture.weights, 3);
  CHECK(contains(fixture.attribute("o", box).err, "was begun with weights-hash '"));
  CHECK(maps_in(fixture.folder.path("o")) == maps);
  CHECK(contains(fixture.attribute("shapes", box).err, "and no settings.json"));
}

TEST_CASE("attribute: all boxes of an annotation, and a map of zeros without positives") {
  const AttributeFixture fixture;
  REQUIRE(fixture.attribute("o", {"--annotations", fixture.annotations}).status == 0);
  for (size_t k = 0; k < fixture.record.objects.size(); ++k) {
    const Example example = fixture.example("o", int(k));
    const bool is_disc = fixture.record.objects[k].label == 1;
    CHECK(example.subject.box == fixture.record.objects[k].box);
    CHECK((example.proposals > 0) == is_disc);
    CHECK(example.maps.empty() == !is_disc);
  }
}

TEST_CASE("attribute: detections when no box is given") {
  const AttributeFixture fixture;
  const CommandResult some = fixture.attribute("o", {"--score", "0.1"});
  INFO(some.err);
  REQUIRE(some.status == 0);
  const Example example = fixture.example("o", 0);
  CHECK(example.subject.score > 0.1);
  CHECK(example.subject.class_name == "disc");
  CHECK(example.labelled.empty());
  CHECK(is_error(fixture.attribute("none", {"--score", "1"}), "a lower --score"));
}

TEST_CASE("attribute: bad input gives one message") {
  const AttributeFixture fixture;
  const auto error = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = fixture.attribute("o", more);
    INFO(result.err);
    CHECK(is_error(result, part));
  };
  error({"--box", "1,2,30,40"}, "--box and --class go together");
  error({"--box", "1,2,30", "--class", "disc"}, "--box has 3 numbers");
  error({"--box", "1,2,30,40", "--class", "cow"}, "cow");
  error({"--box", "30,2,1,40", "--class", "disc"}, "has no area");
  error({"--box", "100,2,130,40", "--class", "disc"}, "outside the picture");
  error({"--box", "1,2,30,40", "--class", "disc", "--annotations", fixture.annotations},
        "exclude each other");
  error({"--annotations", fixture.folder.path("none.xml")}, "none.xml");
  error({"--annotations", fixture.data + "/classes.txt"}, "classes.txt");
  error({"--image", fixture.weights}, "detector.safetensors");
  error({"--area", "square"}, "--area");
  const std::string picture = fixture.folder.path("other.png");
  write_png(picture, Image(30, 20, 3));
  error({"--image", picture, "--annotations", fixture.annotations},
        "speaks of a picture of 72 x 48");
  write_file(fixture.record.image_path, read_file(fixture.record.image_path).substr(0, 300));
  error({}, fixture.record.image_path);
}

TEST_CASE("bbam options: presets are those of the method, and each switch changes one thing") {
  Session session{std::cout, std::cerr};
  ExplainSwitches switches;
  Program program;
  Command command = program.add("x", "");
  add_solver_switches(command, switches);
  add_label_switches(command, switches);
  const auto settings_with = [&](const ExplainSwitches& given) {
    session.settings.clear();
    resolve(given, session);
    return session.settings;
  };
  switches.preset = "paper";
  const Settings paper = settings_with(switches);
  CHECK(paper.at("lambda")[0] == "0.007");
  CHECK(paper.at("theta-fg")[0] == "0.8");
  CHECK(paper.at("positive-iou") == std::vector<std::string>{"0.8"});
  ExplainSwitches authors = switches;
  authors.preset = "authors";
  const Settings theirs = settings_with(authors);
  CHECK(theirs.at("box-weight")[0] == "0.125");
  CHECK(theirs.at("positive-iou") == std::vector<std::string>{"0.9", "0.85", "0.8"});
  CHECK(theirs.at("theta-fg")[0] == "0.85");
  CHECK(theirs.at("label")[0] == "authors");

  // METHOD A2 to A8: each difference is a switch of its own.
  const std::map<std::string, std::string> others{{"lambda", "0.07"},
                                                  {"box-weight", "3"},
                                                  {"class-weight", "3"},
                                                  {"tv", "0.5"},
                                                  {"area", "abs"},
                                                  {"heads", "box"},
                                                  {"stride", "24"},
                                                  {"grid", "truncate"},
                                                  {"corners", "aligned"},
                                                  {"initial", "ones"},
                                                  {"iterations", "7"},
                                                  {"learning-rate", "0.1"},
                                                  {"batch", "2"},
                                                  {"proposals", "10"},
                                                  {"jitter", "0.2"},
                                                  {"enough", "5"},
                                                  {"most", "6"},
                                                  {"truncate-boxes", "yes"},
                                                  {"theta-fg", "0.9"},
                                                  {"theta-bg", "0.1"},
                                                  {"certainty", "0.5"},
                                                  {"map-scale", "min-max"},
                                                  {"blur-reference", "0"},
                                                  {"crf-iterations", "3"},
                                                  {"crf-smoothness-weight", "2"},
                                                  {"crf-smoothness-sigma", "2"},
                                                  {"crf-appearance-weight", "2"},
                                                  {"crf-appearance-sigma", "67"},
                                                  {"crf-appearance-levels", "13"}};
  CHECK(switches.numbers_and_choices.size() == others.size() + 3);  // method, samples, noise
  for (const auto& [name, value] : others) {
    INFO(name);
    ExplainSwitches one = switches;
    one.numbers_and_choices[name] = value;
    Settings changed = settings_with(one);
    CHECK(changed.at(name) == std::vector<std::string>{value});
    CHECK(changed.at(name) != paper.at(name));
    changed[name] = paper.at(name);
    CHECK(changed == paper);
  }
  ExplainSwitches smooth = switches;
  smooth.numbers_and_choices["method"] = "smooth-grad";
  smooth.numbers_and_choices["samples"] = "7";
  smooth.numbers_and_choices["noise"] = "0.5";
  smooth.numbers_and_choices["heads"] = "class";
  const ExplainOptions resolved = resolve(smooth, session);
  CHECK(resolved.method == AttributionMethod::kSmoothGrad);
  CHECK(resolved.smooth.samples == 7);
  CHECK(resolved.smooth.noise == 0.5);
  CHECK(resolved.score() == ScoreOf::kClass);
  ExplainSwitches label = switches;
  label.label = "authors";
  CHECK(resolve(label, session).label.method == LabelMethod::kAuthors);
  CHECK(resolve(label, session).bbam.objective.box_weight == 1);
}
