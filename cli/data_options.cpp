#include "cli/data_options.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "cli/json_text.h"
#include "datasets/coco.h"
#include "datasets/voc.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/random.h"

namespace bbam {
namespace {

// Names are written into weights, json and pages, all of which are UTF-8: better told here than
// after hours. COCO's are UTF-8 if its json could be read, so the others are of VOC's classes.txt.
void check_names(const Dataset& dataset, const std::string& root) {
  if (std::all_of(dataset.classes.begin(), dataset.classes.end(), is_utf8)) return;
  const std::string path = root + "/classes.txt";
  if (std::filesystem::exists(path)) {
    std::istringstream lines(read_file(path));
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number)
      check(is_utf8(line), path, ": line ", number,
            " is not UTF-8; save the file in that encoding, and the annotations likewise");
  }
  fail(root, ": the name of a class is not UTF-8");
}

// About their middles.
void scale_boxes(Dataset& dataset, double by) {
  for (Record& record : dataset.records)
    for (Object& object : record.objects) {
      PixelBox& b = object.box;
      const float dx = float(by) * (b.x1 - b.x0) / 2, dy = float(by) * (b.y1 - b.y0) / 2;
      b = {std::max(b.x0 - dx, 0.f), std::max(b.y0 - dy, 0.f),
           std::min(b.x1 + dx, float(record.width)), std::min(b.y1 + dy, float(record.height))};
    }
}

// The first `most` of a shuffle [Fisher and Yates] of the pictures with objects, put back in order.
void keep_some(Dataset& dataset, int64_t most, uint64_t seed) {
  std::vector<Record>& records = dataset.records;
  std::erase_if(records, [](const Record& record) { return record.objects.empty(); });
  if (most >= int64_t(records.size())) return;
  std::vector<size_t> order(records.size());
  std::iota(order.begin(), order.end(), size_t{0});
  RandomSequence random(seed);
  for (size_t i = 0; i < size_t(most); ++i)
    std::swap(order[i], order[i + size_t(random.below(int64_t(order.size() - i)))]);
  order.resize(size_t(most));
  std::sort(order.begin(), order.end());
  std::vector<Record> kept;
  for (const size_t i : order) kept.push_back(std::move(records[i]));
  records = std::move(kept);
}

}  // namespace

void add_data_options(Command& command, DataOptions& options) {
  command.option("--data", options.data, "folder of the data set, in VOC or COCO layout")
      .required();
  command.option("--layout", options.layout, "auto: by what the folder holds")
      .one_of({"auto", "voc", "coco"});
  command.option("--split", options.split,
                 "VOC: a list in ImageSets; COCO: instances_SPLIT.json and the folder SPLIT");
  command.option(
      "--classes", options.classes,
      "keep only these, as labels 1, 2, ... in this order; all if not given. Files that are "
      "written keep the data set's own numbers");
  command
      .option("--pictures", options.pictures,
              "only so many pictures, drawn by --pictures-seed among those with objects of the "
              "classes; 0: all")
      .between(0, 1e9);
  command.option("--pictures-seed", options.pictures_seed, "of that draw");
  command
      .option("--box-noise", options.box_noise,
              "labels of less care: every box grown by this share of its sides, or shrunk where "
              "negative (BBAM, figure 7a)")
      .between(-0.9, 10);
}

Dataset open_dataset(const DataOptions& options, Session& session,
                     bool keep_images_without_objects) {
  const DatasetOptions wanted{options.classes, keep_images_without_objects};
  Dataset dataset;
  if (options.layout == "voc") {
    dataset = read_voc(options.data, options.split, wanted);
  } else if (options.layout == "coco") {
    dataset = read_coco(options.data + "/annotations/instances_" + options.split + ".json",
                        options.data + "/" + options.split, wanted);
  } else {
    dataset = read_dataset(options.data, options.split, wanted);
  }
  check_names(dataset, options.data);
  if (options.pictures > 0) keep_some(dataset, options.pictures, options.pictures_seed);
  if (options.box_noise != 0) scale_boxes(dataset, options.box_noise);
  warn_of(dataset.problems, session);
  return dataset;
}

void warn_of(const std::vector<std::string>& problems, Session& session, size_t most) {
  for (size_t i = 0; i < std::min(problems.size(), most); ++i) session.warn(problems[i]);
  if (problems.size() > most)
    session.warn(join("and ", problems.size() - most, " more problems of that kind"));
}

void warn_of_passed_over(int64_t pictures, Session& session) {
  if (pictures > 0) session.warn(join(pictures, " pictures were passed over"));
}

}  // namespace bbam
