#include "cli/label_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/evaluation.h"
#include "cli/table.h"

namespace bbam {
namespace {

using nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

struct Counts {
  int64_t objects = 0, positives = 0, no_map = 0, small_mask = 0;

  void add(const LabelledObject& object) {
    ++objects;
    positives += object.positives;
    no_map += object.source == LabelSource::kNoMap;
    small_mask += object.source == LabelSource::kSmallMask;
  }
  double mean_positives() const { return objects > 0 ? double(positives) / double(objects) : 0; }
};

Counts counts_of(const LabelRun& run, const std::string& class_name) {
  Counts counts;
  for (const LabelledImage& image : run.images)
    for (const LabelledObject& object : image.objects)
      if (class_name.empty() || object.class_name == class_name) counts.add(object);
  return counts;
}

// Without images whose objects have no masks.
MaskScores scores_of(const LabelRun& run) {
  Dataset dataset = labelled_records(run);
  std::erase_if(dataset.records, [](const Record& record) { return !has_masks(record); });
  return evaluate_masks(dataset, labelled_instances(run), true);
}

const std::vector<std::string> kObjectColumns{"class",      "objects", "positives", "no map",
                                              "small mask", "box IoU", "mask IoU"};

std::vector<std::string> object_row(const std::string& name, const Counts& counts,
                                    const MaskScores& scores, int label) {
  return {name,
          std::to_string(counts.objects),
          fixed(counts.mean_positives(), 1),
          std::to_string(counts.no_map),
          std::to_string(counts.small_mask),
          percent(scores.mean_box_iou(label)),
          percent(scores.mean_mask_iou(label))};
}

Rows object_rows(const LabelRun& run, const MaskScores& scores) {
  Rows rows;
  for (size_t c = 0; c < run.dataset.classes.size(); ++c) {
    const Counts counts = counts_of(run, run.dataset.classes[c]);
    if (counts.objects > 0)
      rows.push_back(object_row(run.dataset.classes[c], counts, scores, int(c) + 1));
  }
  rows.push_back(object_row("all", counts_of(run, ""), scores, 0));
  return rows;
}

std::map<std::string, double> seconds_of(const LabelRun& run) {
  std::map<std::string, double> sums;
  for (const LabelledImage& image : run.images)
    for (const auto& [stage, seconds] : image.seconds) sums[stage] += seconds;
  return sums;
}

// Objects without a positive proposal have no map that would have to be solved.
Rows second_rows(const std::map<std::string, double>& seconds, const Counts& counts) {
  const auto each = [&](double sum, const std::string& stage) {
    const int64_t objects = counts.objects - (stage == "solve" ? counts.no_map : 0);
    return objects > 0 ? fixed(sum / double(objects), 3) : std::string("-");
  };
  Rows rows;
  double all = 0;
  for (const auto& [stage, sum] : seconds) {
    rows.push_back({stage, fixed(sum, 2), each(sum, stage), stage == "solve" ? "map" : "object"});
    all += sum;
  }
  rows.push_back({"all", fixed(all, 2), each(all, "all"), "object"});
  return rows;
}

// The last row is the sum of the others.
Table table_with_sum(const std::vector<std::string>& columns, const Rows& rows) {
  Table table(columns);
  for (const auto& row : rows) {
    if (&row == &rows.back() && rows.size() > 1) table.add_rule();
    table.add(row);
  }
  return table;
}

}  // namespace

Dataset labelled_records(const LabelRun& run) {
  std::set<std::string> ids;
  for (const LabelledImage& image : run.images)
    if (image.problem.empty()) ids.insert(image.image_id);
  Dataset dataset;
  dataset.classes = run.dataset.classes;
  dataset.source_labels = run.dataset.source_labels;
  for (const LabelTask& task : run.tasks)
    if (ids.count(task.record->id) > 0) dataset.records.push_back(*task.record);
  return dataset;
}

std::vector<Instance> labelled_instances(const LabelRun& run) {
  std::vector<Instance> instances;
  for (const LabelledImage& image : run.images)
    for (const LabelledObject& o : image.objects) {
      Instance instance{.image_id = image.image_id, .box = o.box, .mask = o.foreground};
      instance.category = run.dataset.source_labels[size_t(run.dataset.label_of(o.class_name) - 1)];
      instance.object = o.object;
      instance.ignore = o.ignore;
      instances.push_back(std::move(instance));
    }
  return instances;
}

void summarise(const LabelRun& run, std::ostream& out, json& results) {
  const MaskScores scores = scores_of(run);
  const Counts counts = counts_of(run, "");
  const auto seconds = seconds_of(run);
  const Table objects = table_with_sum(kObjectColumns, object_rows(run, scores));
  const Table times =
      table_with_sum({"stage", "seconds", "each", "of each"}, second_rows(seconds, counts));
  const auto failed = std::count_if(run.images.begin(), run.images.end(),
                                    [](const LabelledImage& i) { return !i.problem.empty(); });
  const int64_t passed_over = run.dataset.pictures_passed_over + failed;
  const auto not_compared = scores.problems.size();
  out << objects << '\n' << times;
  if (not_compared > 0)
    out << '\n'
        << not_compared << " images were left out of the comparison with the true masks; "
        << scores.problems[0] << '\n';
  if (passed_over > 0) out << '\n' << passed_over << " images were passed over\n";

  results["images"] = int64_t(run.images.size()) - failed;
  results["images_passed_over"] = passed_over;
  results["images_not_compared"] = not_compared;
  results["objects"] = counts.objects;
  results["mean_positives"] = counts.mean_positives();
  results["fallbacks"] = {{"no_map", counts.no_map}, {"small_mask", counts.small_mask}};
  if (scores.count() > 0) {
    results["mean_box_iou"] = scores.mean_box_iou();
    results["mean_mask_iou"] = scores.mean_mask_iou();
    results["headline"] = {
        {{"value", percent(scores.mean_box_iou())}, {"label", "mean IoU of the filled box, %"}},
        {{"value", percent(scores.mean_mask_iou())}, {"label", "mean IoU of the label, %"}}};
  }
  results["seconds"] = seconds;
  results["tables"] = {objects.json("Pseudo labels"), times.json("Seconds of the pseudo labels")};
}

}  // namespace bbam
