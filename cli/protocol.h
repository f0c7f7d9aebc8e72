// What `bbam reproduce` runs at each scale: the options of its stages.
#pragma once
#include <string>
#include <vector>

#include "cli/stages.h"

namespace bbam {

// The paper's ordering is looked for at the scale that the machine can bear:
//   full       the paper's networks, schedules and sizes (METHOD B1, B5)
//   small      photographs: ResNet-50, pictures of a third of the size, a part of them, short
//              schedules, 40 larger steps of Adam for each map; segmenters begin with the detector
//   generated  small without first weights: a thin ResNet-18, for the pictures of bbam shapes
struct Protocol {
  std::string name;
  Arguments detector, noise_detector;  // the latter for figure 7(a), where each noise has its own
  Arguments train_pictures, val_pictures;
  Arguments labels_input, studies_input;  // of maps: --short-side and --long-side
  int most_positives = 100;
  Arguments solver;                      // of pseudo-label --method bbam
  Arguments instances, instances_input;  // of train mask-rcnn
  Arguments classes, classes_test;       // of train deeplab, and of segment with it
  bool segmenters_begin_with_detector = true;
  int studied_objects = 40;  // of the validation split, for figures 6 to 8
  std::vector<double> lambdas{0.001, 0.003, 0.005, 0.007, 0.010, 0.020};  // table 6
  std::vector<double> noises{-0.2, -0.1, 0, 0.1, 0.2};                    // figure 7(a)
};

// All of it, to tell one program's protocol from another's.
std::string text_of(const Protocol& protocol);

// `scale`: "small" or "full".
Protocol protocol_of(const std::string& scale, bool has_first_weights, bool is_coco);

}  // namespace bbam
