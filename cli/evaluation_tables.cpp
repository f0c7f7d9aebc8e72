// How scores are written: as tables of percentages and as JSON of shares.
#include <nlohmann/json.hpp>

#include "cli/evaluation.h"

namespace bbam {
namespace {

using nlohmann::json;

json share(double value) { return value < 0 ? json() : json(value); }

std::string class_name(const Dataset& dataset, int label) {
  return dataset.classes[size_t(label - 1)];
}

json coco_json(const CocoAp& ap) {
  json result;
  result["AP"] = share(ap.mean_ap());
  for (const double iou : {0.25, 0.5, 0.7, 0.75})
    result["AP" + std::to_string(int(100 * iou + 0.5))] =
        share(ap.mean_ap({.iou_thresholds = {iou}}));
  for (const char* area : {"small", "medium", "large"})
    result[std::string("AP_") + area] = share(ap.mean_ap({.area = area}));
  for (const int limit : {1, 10, 100})
    result["AR_" + std::to_string(limit)] = share(ap.mean_recall({.max_detections = limit}));
  return result;
}

// The class's own slice of COCO's figures.
double class_ap(const CocoAp& ap, int label, const std::vector<double>& thresholds) {
  return ap.mean_ap({.iou_thresholds = thresholds, .categories = {label}});
}

json unknown_json(const Unknown& unknown) {
  return {{"of_unknown_images", unknown.images}, {"of_unknown_classes", unknown.classes}};
}

}  // namespace

Table table_of(const BoxScores& scores, const Dataset& dataset) {
  Table table({"class", "objects", "VOC AP50", "COCO AP", "AP50", "AP75"});
  const auto row = [&](const std::string& name, int64_t objects, double voc,
                       const std::vector<int64_t>& categories) {
    const auto ap = [&](std::vector<double> iou) {
      return percent(scores.coco.mean_ap({.iou_thresholds = iou, .categories = categories}));
    };
    table.add({name, std::to_string(objects), percent(voc), ap(coco_iou_thresholds()), ap({0.5}),
               ap({0.75})});
  };
  int64_t objects = 0;
  for (const VocClassAp& c : scores.voc.classes) {
    row(class_name(dataset, c.class_id), c.object_count, c.ap, {c.class_id});
    objects += c.object_count;
  }
  table.add_rule();
  row("mean", objects, scores.voc.mean_ap, {});
  return table;
}

json json_of(const BoxScores& scores, const Dataset& dataset) {
  json classes;
  for (const VocClassAp& c : scores.voc.classes)
    classes[class_name(dataset, c.class_id)] = {{"objects", c.object_count},
                                                {"voc_ap50", share(c.ap)}};
  return {{"voc_ap50", share(scores.voc.mean_ap)},
          {"classes", classes},
          {"coco", coco_json(scores.coco)},
          {"results_left_out", unknown_json(scores.unknown)}};
}

Table table_of(const InstanceScores& scores, const Dataset& dataset) {
  Table table({"class", "objects", "AP25", "AP50", "AP70", "AP75", "AP", "small", "medium", "large",
               "ABO"});
  const auto row = [&](const std::string& name, int64_t objects, double abo,
                       const std::vector<int64_t>& categories) {
    const auto ap = [&](CocoSlice slice) {
      slice.categories = categories;
      return percent(scores.coco.mean_ap(slice));
    };
    table.add({name, std::to_string(objects), ap({.iou_thresholds = {0.25}}),
               ap({.iou_thresholds = {0.5}}), ap({.iou_thresholds = {0.7}}),
               ap({.iou_thresholds = {0.75}}), ap({}), ap({.area = "small"}),
               ap({.area = "medium"}), ap({.area = "large"}), percent(abo)});
  };
  int64_t objects = 0;
  for (const ClassOverlap& c : scores.overlap.classes) {
    row(class_name(dataset, c.class_id), c.object_count, c.abo, {c.class_id});
    objects += c.object_count;
  }
  table.add_rule();
  row("mean", objects, scores.overlap.mean_abo, {});
  return table;
}

json json_of(const InstanceScores& scores, const Dataset& dataset) {
  json classes;
  for (const ClassOverlap& c : scores.overlap.classes)
    classes[class_name(dataset, c.class_id)] = {
        {"objects", c.object_count},
        {"abo", c.abo},
        {"AP50", share(class_ap(scores.coco, c.class_id, {0.5}))}};
  return {{"coco", coco_json(scores.coco)},
          {"abo", share(scores.overlap.mean_abo)},
          {"classes", classes},
          {"images_left_out", scores.problems.size()},
          {"results_left_out", unknown_json(scores.unknown)}};
}

Table table_of(const MaskScores& scores, const Dataset& dataset) {
  Table table({"class", "objects", "filled box IoU", "mask IoU"});
  for (int label = 1; label <= int(dataset.classes.size()); ++label)
    if (const int64_t count = scores.count(label); count > 0)
      table.add({class_name(dataset, label), std::to_string(count),
                 percent(scores.mean_box_iou(label)), percent(scores.mean_mask_iou(label))});
  table.add_rule();
  table.add({"all objects", std::to_string(scores.count()), percent(scores.mean_box_iou()),
             percent(scores.mean_mask_iou())});
  return table;
}

json json_of(const MaskScores& scores, const Dataset& dataset) {
  json objects = json::array();
  int64_t missing = 0;
  for (const MaskScore& object : scores.objects) {
    objects.push_back({{"image", object.image_id},
                       {"object", object.object},
                       {"class", class_name(dataset, object.label)},
                       {"mask_iou", object.mask_iou},
                       {"box_iou", object.box_iou}});
    missing += !object.has_mask;
  }
  return {{"mean_mask_iou", share(scores.mean_mask_iou())},
          {"mean_box_iou", share(scores.mean_box_iou())},
          {"images_left_out", scores.problems.size()},
          {"objects_without_mask", missing},
          {"objects", objects}};
}

Table table_of(const SemanticScores& scores, const Dataset& dataset) {
  Table table({"class", "IoU"});
  const std::vector<double> iou = scores.matrix.class_iou();
  for (size_t c = 0; c < iou.size(); ++c)
    table.add({c == 0 ? "background" : dataset.classes[c - 1], percent(iou[c])});
  table.add_rule();
  table.add(
      {"mean of " + std::to_string(scores.images) + " images", percent(scores.matrix.mean_iou())});
  return table;
}

json json_of(const SemanticScores& scores, const Dataset& dataset) {
  json classes;
  const std::vector<double> iou = scores.matrix.class_iou();
  for (size_t c = 0; c < iou.size(); ++c)
    classes[c == 0 ? "background" : dataset.classes[c - 1]] = share(iou[c]);
  return {{"mean_iou", share(scores.matrix.mean_iou())},
          {"images", scores.images},
          {"images_without_map", scores.missing},
          {"images_left_out", scores.problems.size()},
          {"classes", classes}};
}

}  // namespace bbam
