// Detectors as files: weights as safetensors, and in their metadata everything else that is needed
// to run them: the architecture, the classes, and the size that pictures are brought to.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "datasets/transforms.h"
#include "detectors/faster_rcnn.h"
#include "detectors/retinanet.h"
#include "layers/safetensors.h"

namespace bbam {

inline constexpr const char *kFasterRcnn = "faster-rcnn", *kRetinaNet = "retinanet";

// The architecture as options; defaults: METHOD B1 with ResNet-50.
struct DetectorOptions {
  std::string architecture = kFasterRcnn;
  int depth = 50, stem_width = 64;
  std::string norm = "frozen";            // frozen, batch, group
  std::string bottleneck_stride = "1x1";  // 1x1 (MSRA), 3x3 (torchvision)
  int freeze_stages = 2;
  int fpn_channels = 256;
  std::string top_down = "bilinear";  // bilinear, nearest
  std::vector<double> anchor_sizes{32, 64, 128, 256, 512};
  // Faster R-CNN's alone
  int head_width = 1024, rois_per_image = 512;
  int train_proposals = 2000, test_proposals = 1000;
  // RetinaNet's alone
  int subnet_convs = 4, candidates = 1000;
};
// Those that options.architecture has.
void add_detector_options(Command& command, DetectorOptions& options);
FasterRcnnSpec detector_spec(const DetectorOptions& options, int64_t classes);
RetinaNetSpec retinanet_spec(const DetectorOptions& options, int64_t classes);
// Either of them with its starting weights, which depend on the arguments alone.
std::unique_ptr<Detector> make_detector(const DetectorOptions& options, int64_t classes,
                                        uint64_t seed);

inline constexpr int kMostSide = 65536;  // of the pictures that a detector is made for

struct DetectorCard {
  DetectorOptions options;
  std::vector<std::string> classes;  // label c is classes[c - 1]
  int short_side = 800, long_side = 1333;
};
std::map<std::string, std::string> to_metadata(const DetectorCard& card);
// Of what the weights hang on: "stem_width 8, not 64"; "" where nothing differs.
std::string first_difference(const DetectorCard& found, const DetectorCard& expected);
inline constexpr const char* kCardKey = "detector";  // the card's place in the metadata
// Throws Error naming `path` when the metadata is not that of a detector.
DetectorCard card_of(const std::map<std::string, std::string>& metadata, const std::string& path);

struct LoadedDetector {
  DetectorCard card;
  std::unique_ptr<Detector> model;
  // 1-based label of a class; Error listing the classes where there is none of that name.
  int64_t label_of(const std::string& name) const;
};
void save_detector(const std::string& path, Detector& model, const DetectorCard& card);
// Throws Error naming the file, also for weights that are not finite.
LoadedDetector load_detector(const std::string& path, Device device);

// The weights of "backbone.body." from a classifier's file (ImageNet), as read_trunk_weights reads
// it.
void load_trunk(Module& model, const std::string& path);
// frozen, batch or group; and how many groups a trunk of such a stem has.
Norm norm_of(const std::string& name);
int norm_groups(int stem_width);

// A photograph as the detector takes it: (1, h, w, 3), and how many of its pixels are one of the
// photograph's, per axis.
struct DetectorInput {
  Tensor image;
  ImageSize original, resized;
  double scale_x() const { return double(resized.width) / original.width; }
  double scale_y() const { return double(resized.height) / original.height; }
};
DetectorInput detector_input(const Image& photograph, const DetectorCard& card, Device device);
// Boxes (K, 4) f32 in pixels of the input -> of the photograph.
Tensor boxes_to_photograph(const Tensor& boxes, const DetectorInput& input);

}  // namespace bbam
