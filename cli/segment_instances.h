// Masks of a trained Mask R-CNN on photographs, in pixels of the photographs.
#pragma once
#include "cli/instances_json.h"
#include "cli/mask_rcnn_file.h"

namespace bbam {

struct SegmentedObject {
  PixelBox box;
  int label = 0;  // 1-based, of the network's classes
  double score = 0;
  Image mask;  // 0 and 1
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

// Masks, the best in front, then boxes with class and score.
void draw_objects(Image& picture, const std::vector<SegmentedObject>& objects,
                  const std::vector<std::string>& classes);

}  // namespace bbam
