// bbam attribute: which pixels of one photograph the detector needs for each object (METHOD A2-A6),
// or which its scores hang on to first order (figure 7c).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/draw.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/npy.h"
#include "cli/run_record.h"
#include "cli/table.h"
#include "datasets/voc.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

struct AttributeOptions {
  DetectorChoice detector;
  ExplainSwitches switches;
  std::string image, class_name, annotations, out;
  std::vector<double> box;
  double score = 0.7;
};

void check_options(const AttributeOptions& o) {
  check(o.box.empty() || o.annotations.empty(), "--box and --annotations exclude each other");
  check(o.box.empty() == o.class_name.empty(), "--box and --class go together");
  check(o.box.empty() || o.box.size() == 4, "--box has ", o.box.size(),
        " numbers; expected x0,y0,x1,y1");
}

std::vector<ExampleBox> given_box(const AttributeOptions& o, ImageSize size) {
  PixelBox box{float(o.box[0]), float(o.box[1]), float(o.box[2]), float(o.box[3])};
  std::vector<std::string> problems;
  const bool usable = clip_box(box, size, o.image, problems);
  check(usable, problems.empty() ? "" : problems[0]);
  return {{box, o.class_name}};
}

std::vector<ExampleBox> annotated_boxes(const AttributeOptions& o, const Explainer& explainer,
                                        ImageSize size, Session& session) {
  const Dataset dataset = read_voc_annotation(o.annotations, o.image, explainer.card().classes);
  warn_of(dataset.problems, session);
  const Record& record = dataset.records[0];
  check(record.size() == size, o.annotations, ": speaks of a picture of ", record.width, " x ",
        record.height, " pixels; ", o.image, " is ", size.width, " x ", size.height);
  std::vector<ExampleBox> boxes;
  for (const Object& object : record.objects)
    boxes.push_back({object.box, dataset.name_of(object), object.label});
  check(!boxes.empty(), o.annotations, ": has no object that can be explained");
  return boxes;
}

// objects/ID: the example, and heat.png and map.npy, the final map at the photograph's size.
void write_object(const std::string& folder, const Example& example, const BbamResult& result,
                  Corners corners) {
  const std::string place = (std::filesystem::path(folder) / "objects" / example.id()).string();
  write_example(folder + "/objects", example);
  const Tensor map = upsampled_map(result.mask, example.picture.size(), corners);
  write_npy(place + "/map.npy", map);
  Image heat = heat_overlay(example.picture, brightened(map));  // λ‖M‖₁ keeps most values small
  draw_box(heat, example.subject.box, {255, 255, 255});
  write_png(place + "/heat.png", heat);
}

class Attribution {
 public:
  Attribution(const AttributeOptions& options, const ExplainOptions& explain, Session& session)
      : options_(options), explain_(explain), session_(session), record_(session) {}

  void run() {
    check_options(options_);
    Explainer explainer(options_.detector, session_.device);
    tell_idle_settings(explainer.card(), explain_.bbam, session_);
    const Image photograph = read_image(options_.image);
    const DetectorInput input = explainer.input(photograph);
    const std::vector<ExampleBox> detected = explainer.detect(photograph, options_.score);
    const std::vector<ExampleBox> subjects = subjects_of(explainer, photograph, detected);
    claim();
    const auto results = solve(explainer, input, subjects);
    write(photograph, subjects, detected, results);
  }

 private:
  // The objects of one run only: those of another would be shown as if they were of this one.
  void claim() const {
    Settings settings = decisive_settings(session_);
    settings["weights-hash"] = {hash_input(options_.detector.weights)};
    settings["image-hash"] = {hash_input(options_.image)};
    if (!options_.annotations.empty())
      settings["annotations-hash"] = {hash_input(options_.annotations)};
    claim_folder(options_.out, settings);
  }

  std::vector<ExampleBox> subjects_of(Explainer& explainer, const Image& photograph,
                                      const std::vector<ExampleBox>& detected) {
    if (!options_.box.empty()) {
      auto boxes = given_box(options_, photograph.size());
      boxes[0].label = int(explainer.label_of(options_.class_name));
      return boxes;
    }
    if (!options_.annotations.empty())
      return annotated_boxes(options_, explainer, photograph.size(), session_);
    check(!detected.empty(), options_.image, ": the detector finds nothing above a score of ",
          options_.score, "; give a lower --score, or a --box and its --class");
    return detected;
  }

  std::vector<BbamResult> solve(Explainer& explainer, const DetectorInput& input,
                                const std::vector<ExampleBox>& subjects) {
    const double start_s = profile::now_s();
    std::vector<ObjectToExplain> objects;
    for (size_t k = 0; k < subjects.size(); ++k)
      objects.push_back(
          {subjects[k].box, subjects[k].label, object_seed(session_.seed, image_id(), int64_t(k))});
    std::unique_ptr<Progress> progress;
    const char* step = explain_.method == AttributionMethod::kBbam ? "iteration" : "map";
    auto results = explainer.explain(input, objects, explain_, [&](int64_t done, int64_t total) {
      if (!progress)
        progress = std::make_unique<Progress>(session_.err, session_.terminal, step, total);
      progress->update(done);
      stop_if_interrupted("stopped; no map was written");
      return true;
    });
    solve_s_ = profile::now_s() - start_s;
    record_.add_seconds("solve", solve_s_);
    return results;
  }

  void write(const Image& photograph, const std::vector<ExampleBox>& subjects,
             const std::vector<ExampleBox>& detected, const std::vector<BbamResult>& results) {
    const RunRecord::Stage stage(record_, "write");
    const bool found = options_.box.empty() && options_.annotations.empty();
    Table table({"object", "class", "box", "positives", "stride", "objective"});
    for (size_t k = 0; k < subjects.size(); ++k) {
      const BbamResult& result = results[k];
      Example example;
      example.image_id = image_id();
      example.object = int(k);
      example.subject = subjects[k];
      if (!found) example.labelled = subjects;
      example.detected = detected;
      example.picture = photograph;
      example.seconds = solve_s_ / double(subjects.size());
      add_solution(example, result, explain_);
      write_object(options_.out, example, result, explain_.bbam.corners);
      const PixelBox& b = subjects[k].box;
      table.add({example.id(), subjects[k].class_name,
                 fmt::format("{:.0f},{:.0f},{:.0f},{:.0f}", b.x0, b.y0, b.x1, b.y1),
                 std::to_string(result.positives),
                 result.grid.stride_px > 0 ? fixed(result.grid.stride_px, 1) : "-",
                 result.curve.empty() ? "-" : fixed(result.curve.back().total, 4)});
      if (result.positives == 0)
        session_.warn(example.id() + ": no proposal speaks for this box, so its map is 0");
    }
    finish(table, results);
  }

  void finish(const Table& table, const std::vector<BbamResult>& results) {
    record_.input(options_.detector.weights);
    record_.input(options_.image);
    if (!options_.annotations.empty()) record_.input(options_.annotations);
    record_.results()["objects"] = results.size();
    record_.results()["objects_without_positives"] = std::count_if(
        results.begin(), results.end(), [](const BbamResult& r) { return r.positives == 0; });
    record_.write(options_.out + "/run.json");
    session_.out << table;
  }

  std::string image_id() const { return std::filesystem::path(options_.image).stem().string(); }

  const AttributeOptions& options_;
  const ExplainOptions explain_;
  Session& session_;
  RunRecord record_;
  double solve_s_ = 0;
};

}  // namespace

void add_attribute(Program& program) {
  auto o = std::make_shared<AttributeOptions>();
  Command command =
      program.add("attribute",
                  "The bounding-box attribution map of objects in one image, as heat map and .npy");
  command.option("--image", o->image, "photograph, JPEG or PNG").required();
  command
      .option("--out", o->out,
              "folder to write, new, empty or of the same run; objects/ID/ for each object")
      .required();
  command.option("--box", o->box, "x0,y0,x1,y1 in pixels of the photograph, half-open");
  command.option("--class", o->class_name, "of the box");
  command.option("--annotations", o->annotations, "explain all boxes of this VOC XML file");
  command
      .option(
          "--score", o->score,
          "of the detections that are explained where neither --box nor --annotations is given: "
          "above this")
      .between(0, 1);
  add_detector_choice(command, o->detector).required();
  add_solver_switches(command, o->switches);
  command.action([o](Session& session) {
    const ExplainOptions explain = resolve(o->switches, session);
    Attribution(*o, explain, session).run();
  });
}

}  // namespace bbam
