// bbam detect: boxes of a trained detector, drawn and as COCO json.
#include "cli/detect.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/draw.h"
#include "cli/evaluation.h"
#include "cli/photographs.h"
#include "cli/run_record.h"
#include "tensor/files.h"

namespace bbam {
namespace {

struct DetectOptions {
  std::string weights, out;
  std::vector<std::string> images;
  DataOptions data;
  double score = 0.7, data_score = 0.05;
};

void draw_detections(Image& picture, const std::vector<Detected>& found, const DetectorCard& card) {
  std::vector<LabelledBox> boxes;
  for (const Detected& d : found)
    boxes.push_back({d.box, fmt::format("{} {:.2f}", card.classes[size_t(d.label - 1)], d.score),
                     class_color(d.label)});
  draw_labelled_boxes(picture, boxes);
}

void detect_files(const DetectOptions& o, LoadedDetector& detector, Session& session,
                  RunRecord& record) {
  std::vector<Instance> results;
  std::vector<Detected> found;
  const auto find = [&](const std::string&, const Image& picture) {
    found = detect(detector, picture, session.device, o.score);
  };
  const auto keep = [&](const std::string& path, Image& picture) {
    for (const Detected& d : found) {
      session.out << fmt::format("{}  {:<14} {:.3f}  {:.1f},{:.1f},{:.1f},{:.1f}\n", path,
                                 detector.card.classes[size_t(d.label - 1)], d.score, d.box.x0,
                                 d.box.y0, d.box.x1, d.box.y1);
      results.push_back(
          {.image_id = stem_of(path), .category = d.label, .box = d.box, .score = d.score});
    }
    if (o.out.empty()) return;
    record.input(path);
    draw_detections(picture, found, detector.card);
    write_jpeg(drawn_path(o.out, path), picture);
  };
  for_each_photograph(o.images, session, find, keep);
  if (!o.out.empty()) write_results(o.out + "/detections.json", results);
}

void detect_data(const DetectOptions& o, LoadedDetector& detector, Session& session,
                 RunRecord& record) {
  DataOptions data = o.data;
  data.classes = detector.card.classes;
  const Dataset dataset = open_dataset(data, session);
  check(dataset.classes == detector.card.classes, data.data,
        ": its classes are not the detector's");
  std::vector<std::string> problems;
  const std::vector<Instance> results =
      detect_all(detector, dataset, session, o.data_score, problems);
  tell_problems(problems, dataset, data.data, session);
  const BoxScores scores = evaluate_boxes(dataset, results);
  const Table table = table_of(scores, dataset);
  session.out << table;
  record.results()["tables"] = {table.json("Detections")};
  record.results()["boxes"] = json_of(scores, dataset);
  const int64_t passed_over = dataset.pictures_passed_over + int64_t(problems.size());
  record.results()["pictures_passed_over"] = passed_over;
  record.input(data.data);
  if (!o.out.empty()) write_results(o.out + "/detections.json", results);
  warn_of_passed_over(passed_over, session);
}

}  // namespace

std::vector<Detected> detect(LoadedDetector& detector, const Image& photograph, Device device,
                             double score) {
  const DetectorInput input = detector_input(photograph, detector.card, device);
  const FrameSize frame{.height = input.resized.height, .width = input.resized.width};
  const Detections found = detector.model->detect(input.image, {frame})[0];
  const auto boxes = boxes_to_photograph(found.boxes, input).to_vector<float>();
  const auto scores = found.scores.to(kCpu).to_vector<float>();
  const auto labels = found.labels.to(kCpu).to_vector<int64_t>();
  std::vector<Detected> detections;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] <= score) continue;
    const float* b = boxes.data() + 4 * i;
    detections.push_back({{b[0], b[1], b[2], b[3]}, int(labels[i]), scores[i]});
  }
  return detections;
}

std::vector<Instance> detect_all(LoadedDetector& detector, const Dataset& dataset, Session& session,
                                 double score, std::vector<std::string>& problems) {
  std::vector<Instance> results;
  for_each_picture(dataset, "detecting", session, problems,
                   [&](const Record& record, const Image& picture) {
                     for (const Detected& d : detect(detector, picture, session.device, score))
                       results.push_back({.image_id = record.id,
                                          .category = dataset.source_labels[size_t(d.label - 1)],
                                          .box = d.box,
                                          .score = d.score});
                   });
  return results;
}

void add_detect(Program& program) {
  auto o = std::make_shared<DetectOptions>();
  Command command = program.add("detect", "Boxes of a trained detector, drawn and as COCO json");
  command
      .option("--weights", o->weights, "what bbam train detector, retinanet or mask-rcnn has made")
      .required();
  command.option("IMAGE", o->images, "photographs, or folders of them");
  command.option("--data", o->data.data,
                 "a data set instead: detects on a split and prints its AP");
  command.option("--layout", o->data.layout, "of --data; auto: by what the folder holds")
      .one_of({"auto", "voc", "coco"});
  command.option("--split", o->data.split, "of --data");
  command.option("--score", o->score, "least score of what is listed and drawn").between(0, 1);
  command.option("--data-score", o->data_score, "least score with --data, where AP wants low ones")
      .between(0, 1);
  command.option("--out,-o", o->out, "folder for the drawn pictures, detections.json and run.json");
  command.action([o](Session& session) {
    check(o->images.empty() != o->data.data.empty(), "give either photographs or --data");
    o->images = with_folders_opened(o->images);
    if (!o->out.empty()) {
      check_drawn(o->images, o->out);
      make_folder(o->out);
    }
    RunRecord record(session);
    record.input(o->weights);
    LoadedDetector detector = load_detector(o->weights, session.device);
    {
      const RunRecord::Stage stage(record, "detect");
      if (o->data.data.empty())
        detect_files(*o, detector, session, record);
      else
        detect_data(*o, detector, session, record);
    }
    if (!o->out.empty()) record.write(o->out + "/run.json");
  });
}

}  // namespace bbam
