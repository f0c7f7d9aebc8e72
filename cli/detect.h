// Detections of a trained detector on photographs, in pixels of the photographs.
#pragma once
#include "cli/detector_file.h"
#include "cli/instances_json.h"

namespace bbam {

struct Detected {
  PixelBox box;
  int label = 0;  // 1-based, of the detector's classes
  double score = 0;
};

// Those above `score`, best first.
std::vector<Detected> detect(LoadedDetector& detector, const Image& photograph, Device device,
                             double score);

// Detections on every picture of the data set, as results for `bbam evaluate`. The data set must
// have the detector's classes. Pictures that cannot be read are added to `problems` and passed
// over.
std::vector<Instance> detect_all(LoadedDetector& detector, const Dataset& dataset, Session& session,
                                 double score, std::vector<std::string>& problems);

}  // namespace bbam
