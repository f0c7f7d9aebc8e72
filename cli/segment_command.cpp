// bbam segment: masks of a trained Mask R-CNN, drawn and as COCO json.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/evaluation.h"
#include "cli/interrupt.h"
#include "cli/photographs.h"
#include "cli/run_record.h"
#include "cli/segment.h"
#include "tensor/files.h"

namespace bbam {
namespace {

struct Options {
  std::string weights, out;
  std::vector<std::string> images;
  DataOptions data;
  double score = 0.7, data_score = 0.05, threshold = 0.5;
};

void segment_files(const Options& o, LoadedMaskRcnn& network, Session& session, RunRecord& record) {
  const std::vector<std::string>& classes = network.card.detector.classes;
  std::vector<Instance> results;
  size_t bad = 0;
  for (const std::string& path : o.images) {
    stop_if_interrupted("stopped");
    Image picture;
    std::vector<SegmentedObject> found;
    try {
      picture = read_image(path);
      found = segment(network, picture, session.device, {o.score, o.threshold});
    } catch (const Error& error) {
      session.warn(error.what());
      ++bad;
      continue;
    }
    for (const SegmentedObject& object : found) {
      results.push_back(instance_of(stem_of(path), object.label, object));
      session.out << fmt::format("{}  {:<14} {:.3f}  {} pixels\n", path,
                                 classes[size_t(object.label - 1)], object.score,
                                 rle_area(*results.back().mask));
    }
    record.input(path);
    draw_objects(picture, found, classes);
    write_jpeg(drawn_path(o.out, path), picture);
  }
  check(bad < o.images.size(), "none of the ", o.images.size(), " pictures could be used");
  if (bad > 0) session.warn(join(bad, " of ", o.images.size(), " pictures were passed over"));
  write_results(o.out + "/instances.json", results);
}

void segment_data(const Options& o, LoadedMaskRcnn& network, Session& session, RunRecord& record) {
  DataOptions data = o.data;
  data.classes = network.card.detector.classes;
  const Dataset dataset = open_dataset(data, session);
  record.input(data.data);
  std::vector<std::string> problems;
  const std::vector<Instance> results =
      segment_all(network, dataset, session, {o.data_score, o.threshold}, problems);
  warn_of(problems, session);
  check(problems.size() < dataset.records.size(), data.data, ": none of the ",
        dataset.records.size(), " pictures could be used");
  const InstanceScores scores = evaluate_instances(dataset, results);
  const Table table = table_of(scores, dataset);
  session.out << table;
  record.results()["tables"] = {table.json("Instances")};
  record.results()["instances"] = json_of(scores, dataset);
  const int64_t passed_over = dataset.pictures_passed_over + int64_t(problems.size());
  record.results()["pictures_passed_over"] = passed_over;
  write_results(o.out + "/instances.json", results);
  warn_of_passed_over(passed_over, session);
}

}  // namespace

void add_segment(Program& program) {
  auto o = std::make_shared<Options>();
  Command command = program.add("segment", "Masks of a trained Mask R-CNN, drawn and as COCO json");
  command.option("--weights", o->weights, "mask_rcnn.safetensors of bbam train mask-rcnn")
      .required();
  command.option("IMAGE", o->images, "photographs, or folders of them");
  command.option("--data", o->data.data,
                 "a data set instead: segments a split and prints its figures");
  command.option("--layout", o->data.layout, "of --data; auto: by what the folder holds")
      .one_of({"auto", "voc", "coco"});
  command.option("--split", o->data.split, "of --data");
  command.option("--score", o->score, "least score of what is listed and drawn").between(0, 1);
  command.option("--data-score", o->data_score, "least score with --data, where AP wants low ones")
      .between(0, 1);
  command.option("--threshold", o->threshold, "probability above which a pixel is in the mask")
      .between(0, 1);
  command.option("--out,-o", o->out, "folder for drawn pictures, instances.json and run.json")
      .required();
  command.action([o](Session& session) {
    check(o->images.empty() != o->data.data.empty(), "give either photographs or --data");
    o->images = with_folders_opened(o->images);
    check_drawn(o->images, o->out);
    make_folder(o->out);
    RunRecord record(session);
    record.input(o->weights);
    LoadedMaskRcnn network = load_mask_rcnn(o->weights, session.device);
    {
      const RunRecord::Stage stage(record, "segment");
      if (o->data.data.empty())
        segment_files(*o, network, session, record);
      else
        segment_data(*o, network, session, record);
    }
    record.write(o->out + "/run.json");
  });
}

}  // namespace bbam
