// Mask R-CNNs as files: a detector's (cli/detector_file.h), with what the mask branch needs beside
// it. Every command that takes a detector takes them too, and leaves the masks aside.
#pragma once
#include "cli/detector_file.h"
#include "segmenters/mask_rcnn.h"

namespace bbam {

// The mask branch as options; defaults: METHOD B1.
struct MaskHeadOptions {
  int convs = 4, width = 256;
  std::string loss = "seed-growing";  // plain, balanced, seed-growing
  double grow_above = 0.9, grow_below = 0.1;
};
void add_mask_head_options(Command& command, MaskHeadOptions& options);
MaskRcnnSpec mask_rcnn_spec(const DetectorOptions& detector, const MaskHeadOptions& head,
                            int64_t classes);

struct MaskRcnnCard {
  DetectorCard detector;
  MaskHeadOptions head;
};
std::map<std::string, std::string> to_metadata(const MaskRcnnCard& card);

struct LoadedMaskRcnn {
  MaskRcnnCard card;
  std::unique_ptr<MaskRcnn> model;
};
// Throws Error naming the file, also for weights that are not finite, and for a detector without
// masks.
LoadedMaskRcnn load_mask_rcnn(const std::string& path, Device device);

}  // namespace bbam
