// bbam segment: masks of a trained Mask R-CNN, or class maps of a trained DeepLab, drawn and as
// files.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/evaluation.h"
#include "cli/photographs.h"
#include "cli/run_record.h"
#include "cli/seen_example.h"
#include "cli/segment_instances.h"
#include "cli/segment_semantic.h"
#include "tensor/files.h"

namespace bbam {
namespace {

struct Options {
  std::string weights, out;
  std::vector<std::string> images;
  DataOptions data;
  double score = 0.7, data_score = 0.05, threshold = 0.5;
  bool crf = false;
  SemanticInferenceSpec inference;
  int examples = 12;
};

// What the two kinds of networks do each in their way.
class Segmenter {
 public:
  virtual ~Segmenter() = default;
  virtual const std::vector<std::string>& classes() const = 0;
  virtual void segment(const Image& photograph) = 0;
  // What segment() found: lists it, writes its files and draws it.
  virtual void keep(const std::string& path, Image& picture) = 0;
  virtual void write_files() {}  // of all photographs
  virtual void segment(const Dataset& dataset, std::vector<std::string>& problems) = 0;
  // How well it did.
  virtual void evaluate(const Dataset& dataset, RunRecord& record) = 0;

  // Of a picture of the data set that was segmented: draws what was found, or what is true, and
  // returns the labels that occur.
  virtual const char* kind() const = 0;  // SeenExample's
  virtual std::set<int> draw_found(const Dataset& dataset, const Record& record,
                                   Image& picture) const = 0;
  virtual bool has_truth(const Record& record) const = 0;
  virtual std::set<int> draw_truth(const Dataset& dataset, const Record& record,
                                   Image& picture) const = 0;
};

class InstanceSegmenter : public Segmenter {
 public:
  InstanceSegmenter(const Options& options, Session& session)
      : o_(options), session_(session), network_(load_mask_rcnn(options.weights, session.device)) {}

  const std::vector<std::string>& classes() const override {
    return network_.card.detector.classes;
  }

  void segment(const Image& photograph) override {
    found_ = bbam::segment(network_, photograph, session_.device, {o_.score, o_.threshold, o_.crf});
  }
  void keep(const std::string& path, Image& picture) override {
    for (const SegmentedObject& object : found_) {
      results_.push_back(instance_of(stem_of(path), object.label, object));
      session_.out << fmt::format("{}  {:<14} {:.3f}  {} pixels\n", path,
                                  classes()[size_t(object.label - 1)], object.score,
                                  rle_area(*results_.back().mask));
    }
    draw_objects(picture, found_, classes());
  }
  void write_files() override { write_results(o_.out + "/instances.json", results_); }

  void segment(const Dataset& dataset, std::vector<std::string>& problems) override {
    results_ =
        segment_all(network_, dataset, session_, {o_.data_score, o_.threshold, o_.crf}, problems);
  }
  void evaluate(const Dataset& dataset, RunRecord& record) override {
    const InstanceScores scores = evaluate_instances(dataset, results_);
    const Table table = table_of(scores, dataset);
    session_.out << table;
    record.results()["tables"] = {table.json("Instances")};
    record.results()["instances"] = json_of(scores, dataset);
    write_files();
  }

  const char* kind() const override { return "objects"; }
  std::set<int> draw_found(const Dataset& dataset, const Record& record,
                           Image& picture) const override {
    constexpr double kDrawnScore = 0.5;
    return draw_objects(picture, found_objects(dataset, record, results_, kDrawnScore),
                        dataset.classes);
  }
  bool has_truth(const Record& record) const override { return has_masks(record); }
  std::set<int> draw_truth(const Dataset& dataset, const Record& record,
                           Image& picture) const override {
    return draw_objects(picture, true_objects(record), dataset.classes);
  }

 private:
  const Options& o_;
  Session& session_;
  LoadedMaskRcnn network_;
  std::vector<SegmentedObject> found_;
  std::vector<Instance> results_;
};

class SemanticSegmenter : public Segmenter {
 public:
  SemanticSegmenter(const Options& options, Session& session)
      : o_(options), session_(session), network_(load_deeplab(options.weights, session.device)) {}

  const std::vector<std::string>& classes() const override { return network_.card.classes; }

  void segment(const Image& photograph) override {
    found_ = class_map_of(network_, photograph, session_.device, semantic());
  }
  void keep(const std::string& path, Image& picture) override {
    const std::vector<uint8_t>& pixels = found_.pixels;
    for (size_t c = 0; c < classes().size(); ++c)
      if (const auto count = std::count(pixels.begin(), pixels.end(), uint8_t(c + 1)))
        session_.out << fmt::format("{}  {:<14} {} pixels\n", path, classes()[c], count);
    make_folder(folder());
    write_label_png(folder() + "/" + stem_of(path) + ".png", found_);
    draw_class_map(picture, found_);
  }

  void segment(const Dataset& dataset, std::vector<std::string>& problems) override {
    write_class_maps(network_, dataset, folder(), session_, semantic(), problems);
  }
  void evaluate(const Dataset& dataset, RunRecord& record) override {
    const SemanticScores scores = evaluate_semantic(dataset, folder());
    const Table table = table_of(scores, dataset);
    session_.out << table;
    record.results()["tables"] = {table.json("Classes")};
    record.results()["semantic"] = json_of(scores, dataset);
  }

  const char* kind() const override { return "classes"; }
  std::set<int> draw_found(const Dataset& dataset, const Record& record,
                           Image& picture) const override {
    return draw_class_map(picture, written_class_map(dataset, record, folder()));
  }
  bool has_truth(const Record& record) const override {
    return !record.class_map_path.empty() || has_masks(record);
  }
  std::set<int> draw_truth(const Dataset& dataset, const Record& record,
                           Image& picture) const override {
    return draw_class_map(picture, read_class_map(dataset, record));
  }

 private:
  SemanticOptions semantic() const { return {o_.inference, o_.crf}; }
  std::string folder() const { return o_.out + "/SegmentationClass"; }

  const Options& o_;
  Session& session_;
  LoadedDeepLab network_;
  Image found_;
};

// Options of the other kind of network would do nothing.
void refuse(const std::vector<const char*>& names, const Options& o, const Session& session) {
  for (const char* name : names)
    check(session.given.count(name) == 0, "--", name, ": is not for the kind of network that ",
          o.weights, " holds");
}

std::unique_ptr<Segmenter> segmenter_of(const Options& o, Session& session) {
  if (read_safetensors(o.weights).metadata.count(kDeepLabKey) > 0) {
    refuse({"score", "data-score", "threshold"}, o, session);
    return std::make_unique<SemanticSegmenter>(o, session);
  }
  refuse({"scales", "flip"}, o, session);
  return std::make_unique<InstanceSegmenter>(o, session);
}

void segment_files(const Options& o, Segmenter& segmenter, Session& session, RunRecord& record) {
  const auto find = [&](const std::string&, const Image& picture) { segmenter.segment(picture); };
  const auto keep = [&](const std::string& path, Image& picture) {
    record.input(path);
    segmenter.keep(path, picture);
    write_jpeg(drawn_path(o.out, path), picture);
  };
  for_each_photograph(o.images, session, find, keep);
  segmenter.write_files();
}

SeenExample seen_example(const Segmenter& segmenter, const Dataset& dataset, const Record& record) {
  SeenExample example{record.id, segmenter.kind(), {}, read_picture(record), {}, {}};
  example.prediction = example.photograph;
  std::set<int> labels = segmenter.draw_found(dataset, record, example.prediction);
  if (segmenter.has_truth(record)) {
    example.truth = example.photograph;
    labels.merge(segmenter.draw_truth(dataset, record, *example.truth));
  }
  for (const int label : labels) example.classes[label] = dataset.classes[size_t(label - 1)];
  return example;
}

void write_examples(const Options& o, const Segmenter& segmenter, const Dataset& dataset,
                    Session& session) {
  const std::string folder = o.out + "/examples";
  remove_seen_examples(folder);
  for (const Record* record : spread_records(dataset, o.examples)) {
    std::optional<SeenExample> example;
    try {
      example = seen_example(segmenter, dataset, *record);
    } catch (const Error& error) {
      session.warn(join(error.what(), "; not among the examples"));
    }
    if (example) write_seen_example(folder, *example);
  }
}

void segment_data(const Options& o, Segmenter& segmenter, Session& session, RunRecord& record) {
  DataOptions data = o.data;
  data.classes = segmenter.classes();
  const Dataset dataset = open_dataset(data, session);
  record.input(data.data);
  std::vector<std::string> problems;
  segmenter.segment(dataset, problems);
  tell_problems(problems, dataset, data.data, session);
  segmenter.evaluate(dataset, record);
  write_examples(o, segmenter, dataset, session);
  const int64_t passed_over = dataset.pictures_passed_over + int64_t(problems.size());
  record.results()["pictures_passed_over"] = passed_over;
  warn_of_passed_over(passed_over, session);
}

void add_options(Command& command, Options& o) {
  command
      .option("--weights", o.weights,
              "mask_rcnn.safetensors or deeplab.safetensors, as bbam train writes them")
      .required();
  command.option("IMAGE", o.images, "photographs, or folders of them");
  command.option("--data", o.data.data,
                 "a data set instead: segments a split and prints its figures");
  command.option("--layout", o.data.layout, "of --data; auto: by what the folder holds")
      .one_of({"auto", "voc", "coco"});
  command.option("--split", o.data.split, "of --data");
  command
      .option("--pictures", o.data.pictures,
              "of --data: only so many, drawn by --pictures-seed among those with objects; 0: all")
      .between(0, 1e9);
  command.option("--pictures-seed", o.data.pictures_seed, "of that draw");
  command
      .option(
          "--examples", o.examples,
          "with --data: pictures that have objects, spread over the split, to keep with what is "
          "found and what is true drawn on them, for the report")
      .between(0, 10000);
  command.option("--out,-o", o.out, "folder for drawn pictures, masks and run.json").required();
  command.option("--score", o.score, "objects: least score of what is listed and drawn")
      .between(0, 1);
  command
      .option("--data-score", o.data_score,
              "objects: least score with --data, where AP wants low ones")
      .between(0, 1);
  command
      .option("--threshold", o.threshold, "objects: probability above which a pixel is in the mask")
      .between(0, 1);
  command
      .option("--scales", o.inference.scales,
              "class maps: sizes of the photograph whose answers are averaged")
      .between(0.05, 8);
  command.flag("--flip", o.inference.flip, "class maps: and those of its mirror image");
  command.flag("--crf", o.crf,
               "refines by a dense CRF: class maps, or the mask of each object, through a window "
               "where it is small");
}

}  // namespace

void add_segment(Program& program) {
  auto o = std::make_shared<Options>();
  Command command = program.add(
      "segment", "Masks of a trained Mask R-CNN, or class maps of a DeepLab, drawn and as files");
  add_options(command, *o);
  command.action([o](Session& session) {
    check(o->images.empty() != o->data.data.empty(), "give either photographs or --data");
    o->images = with_folders_opened(o->images);
    check_drawn(o->images, o->out);
    make_folder(o->out);
    RunRecord record(session);
    record.input(o->weights);
    const auto segmenter = segmenter_of(*o, session);
    {
      const RunRecord::Stage stage(record, "segment");
      if (o->data.data.empty())
        segment_files(*o, *segmenter, session, record);
      else
        segment_data(*o, *segmenter, session, record);
    }
    record.write(o->out + "/run.json");
  });
}

}  // namespace bbam
