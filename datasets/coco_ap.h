// Average precision and recall of boxes and of masks as COCO defines them [Lin2014] and as its
// program computes them.
//
// For each category and image, detections are taken best score first (equal scores: as given; at
// most the largest of max_detections) and each is given the object it overlaps most among those
// that are left and that it overlaps by the threshold or more; of equals, the last. An object that
// counts is preferred to one that is ignored. Ignored are crowds, which may be given to any number
// of detections, objects marked so, and objects outside the area range. A detection given an
// ignored object, or given none and outside the area range itself, is left out of the count.
// Over all images, equal scores are taken in the order of image ids; AP is sampled_ap at the
// recalls 0, 0.01, ..., 1 (datasets/precision_curve.h).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/rle.h"

namespace bbam {

// As COCO's files have it; kept in double, so that an IoU exactly at a threshold stays there.
struct CocoBox {
  double x = 0, y = 0, width = 0, height = 0;
};

struct CocoObject {
  int64_t image_id = 0, category_id = 0;
  CocoBox box = {};    // read only where boxes are measured
  Rle mask = {};       // read only where masks are measured
  double area_px = 0;  // as annotated; decides which area ranges the object counts in
  bool crowd = false;
  bool ignore = false;  // need not be found and may be: VOC's difficult objects
};

struct CocoDetection {
  int64_t image_id = 0, category_id = 0;
  double score = 0;
  CocoBox box = {};  // as above; the area of the one that is measured decides
  Rle mask = {};
};

struct CocoAreaRange {
  std::string name;
  double min_px = 0, max_px = 0;  // areas; both belong to the range
};

enum class CocoShape { kBoxes, kMasks };

std::vector<double> coco_iou_thresholds();      // 0.5, 0.55, ..., 0.95
std::vector<double> default_iou_thresholds();   // these and 0.25, for the paper (METHOD A12)
std::vector<CocoAreaRange> coco_area_ranges();  // all, small, medium, large; cut at 32^2 and 96^2

// What is measured.
struct CocoApOptions {
  CocoShape shape = CocoShape::kBoxes;
  std::vector<double> iou_thresholds = default_iou_thresholds();
  std::vector<CocoAreaRange> areas = coco_area_ranges();
  std::vector<int> max_detections = {1, 10, 100};  // per image and category
};

// What is averaged over; each value must be among those measured.
struct CocoSlice {
  std::vector<double> iou_thresholds = coco_iou_thresholds();
  std::string area = "all";
  int max_detections = 100;
  std::vector<int64_t> categories = {};  // none: all
};

struct CocoAp {
  CocoApOptions options;
  std::vector<int64_t> categories;  // every one among objects or detections, ascending
  // (IoU threshold, category, area range, limit of detections), row-major: AP, and the recall of
  // all detections; -1 where no object counts.
  std::vector<double> ap, recall;

  // Means over the cells of the slice that are not -1; -1 where all are. COCO's headline numbers:
  // mean_ap(), mean_ap({.iou_thresholds = {0.5}}), mean_ap({.area = "small"}),
  // mean_recall({.max_detections = 1}), ... Throws Error for what was not measured.
  double mean_ap(const CocoSlice& slice = {}) const;
  double mean_recall(const CocoSlice& slice = {}) const;

 private:
  double mean(const std::vector<double>& cells, const CocoSlice& slice) const;
};

// Throws Error for a score or box that is not a number, a missing mask, masks of different sizes
// in one image, and options that are empty or out of range.
CocoAp coco_ap(std::span<const CocoObject> objects, std::span<const CocoDetection> detections,
               const CocoApOptions& options = {});

}  // namespace bbam
