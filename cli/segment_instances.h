// Masks of a trained Mask R-CNN on photographs, in pixels of the photographs.
#pragma once
#include <set>

#include "cli/instances_json.h"
#include "cli/mask_rcnn_file.h"

namespace bbam {

struct SegmentedObject {
  PixelBox box;
  int label = 0;      // 1-based, of the network's classes
  double score = -1;  // of a true object there is none
  Image mask;         // 0 and 1
};

struct InstanceOptions {
  double score = 0.05;     // objects above it
  double threshold = 0.5;  // of a mask's probability
  bool crf = false;        // METHOD B4's
};

// Best first.
std::vector<SegmentedObject> segment(LoadedMaskRcnn& network, const Image& photograph,
                                     Device device, const InstanceOptions& options);

// On every picture of the data set, as results for `bbam evaluate`. The data set must have the
// network's classes. Pictures that cannot be read are added to `problems` and passed over.
std::vector<Instance> segment_all(LoadedMaskRcnn& network, const Dataset& dataset, Session& session,
                                  const InstanceOptions& options,
                                  std::vector<std::string>& problems);

// As a result; the category is the class as the data set's own files call it.
Instance instance_of(const std::string& image_id, int category, const SegmentedObject& object);

// The picture's results above `score`, which must have masks, in their order.
std::vector<SegmentedObject> found_objects(const Dataset& dataset, const Record& record,
                                           const std::vector<Instance>& results, double score);
// The record's objects without its crowds. Throws Error where one has no mask.
std::vector<SegmentedObject> true_objects(const Record& record);

// Masks, the first in front, then boxes with class and, where there is one, score. Returns the
// labels that occur.
std::set<int> draw_objects(Image& picture, const std::vector<SegmentedObject>& objects,
                           const std::vector<std::string>& classes);

}  // namespace bbam
