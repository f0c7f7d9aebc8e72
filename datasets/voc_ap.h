// Average precision (AP) of a detector as PASCAL VOC defines it [Everingham2010 section 4.2], and
// as its development kit computes it.
//
// Detections of a class are taken from all images, best score first (equal scores: as given). Each
// is compared with every object of its class in its image, and belongs to the one it overlaps
// most. It is a true positive if that IoU reaches the threshold and the object has not been found
// yet; it is left out of the count if that object is difficult; otherwise it is a false positive,
// a second detection of one object included. Difficult objects are not missed either.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "datasets/image.h"
#include "datasets/precision_curve.h"

namespace bbam {

struct VocObject {
  int64_t image_id = 0;
  int class_id = 0;
  PixelBox box;
  bool difficult = false;
};

struct VocDetection {
  int64_t image_id = 0;
  int class_id = 0;
  double score = 0;
  PixelBox box;
};

enum class VocApRule {
  kElevenPoints,  // VOC 2007: sampled_ap at the recalls 0, 0.1, ..., 1
  kArea,          // VOC 2010 and later: area_ap
};

struct VocApOptions {
  double iou_threshold = 0.5;
  VocApRule rule = VocApRule::kArea;
  // The development kit's boxes name their last pixel: a side is x1 - x0 + 1 long. Not to be set
  // for boxes that have been made half-open, [x0, x1).
  bool inclusive_pixels = false;
};

struct VocClassAp {
  int class_id = 0;
  int64_t object_count = 0;  // that are not difficult
  double ap = -1;            // -1 where object_count is 0
  PrecisionCurve curve;
  std::vector<double> scores;  // of the curve's points
};

struct VocAp {
  std::vector<VocClassAp> classes;  // every class among objects or detections, ascending
  double mean_ap = -1;              // over the classes with objects; -1 where there is none
};

// Throws Error for an IoU threshold outside (0, 1], and for a score or box that is not a number.
VocAp voc_ap(std::span<const VocObject> objects, std::span<const VocDetection> detections,
             const VocApOptions& options = {});

}  // namespace bbam
