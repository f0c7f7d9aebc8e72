// The figures of METHOD A12 for a data set and what was found in it; `bbam evaluate` prints them.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/instances_json.h"
#include "cli/table.h"
#include "datasets/coco_ap.h"
#include "datasets/mask_metrics.h"
#include "datasets/voc_ap.h"

namespace bbam {

// Results that name images or classes that the data set does not have are not counted, and told
// here.
struct Unknown {
  int64_t images = 0, classes = 0;
};

struct BoxScores {
  VocAp voc;  // AP at IoU 0.5; class_id is a label
  CocoAp coco;
  Unknown unknown;
};
BoxScores evaluate_boxes(const Dataset& dataset, const std::vector<Instance>& results,
                         VocApRule rule = VocApRule::kArea);

struct InstanceScores {
  CocoAp coco;
  BestOverlap overlap;
  Unknown unknown;
  std::vector<std::string> problems;  // one for each image that is left out
};
// Every result must have a mask. Images whose objects have no masks, or none that can be read, are
// left out.
InstanceScores evaluate_instances(const Dataset& dataset, const std::vector<Instance>& results);

// One object with the IoU of its mask, and of its box filled, with the true mask.
struct MaskScore {
  std::string image_id;
  int object = 0, label = 0;
  double mask_iou = 0, box_iou = 0;
  bool has_mask = true;  // without one mask_iou is 0
};
struct MaskScores {
  std::vector<MaskScore> objects;
  std::vector<std::string> problems;  // one for each image that is left out

  double mean_mask_iou(int label = 0) const;  // of a label, or of all; -1 of none
  double mean_box_iou(int label = 0) const;
  int64_t count(int label = 0) const;
};
// `masks` are labels, told apart by class and box (cli/label_match.h). Objects without one count as
// IoU 0, or not at all with `only_given`. Crowds and difficult objects do not count. Images are
// left out as above. Throws Error for a mask of the data set's images and classes that fits no
// object.
MaskScores evaluate_masks(const Dataset& dataset, const std::vector<Instance>& masks,
                          bool only_given);

// The pixels of a filled box, by pixel_rect's rule: (H, W) u8, 1 inside, 0 outside.
Tensor filled_box(const PixelBox& box, ImageSize size);

struct SemanticScores {
  ConfusionMatrix matrix;
  int64_t images = 0, missing = 0;
  std::vector<std::string> problems = {};  // one for each image whose maps cannot be compared
};
// folder/ID.png: 0 ground, else a class as the data set's own files call it. Pictures that have a
// true map but no such file are counted as missing, and left out; Error when no image is left.
SemanticScores evaluate_semantic(const Dataset& dataset, const std::string& folder);

Table table_of(const BoxScores& scores, const Dataset& dataset);
Table table_of(const InstanceScores& scores, const Dataset& dataset);
Table table_of(const MaskScores& scores, const Dataset& dataset);
Table table_of(const SemanticScores& scores, const Dataset& dataset);

nlohmann::json json_of(const BoxScores& scores, const Dataset& dataset);
nlohmann::json json_of(const InstanceScores& scores, const Dataset& dataset);
nlohmann::json json_of(const MaskScores& scores, const Dataset& dataset);
nlohmann::json json_of(const SemanticScores& scores, const Dataset& dataset);

}  // namespace bbam
