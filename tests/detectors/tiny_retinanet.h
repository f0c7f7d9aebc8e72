// A RetinaNet small enough to train in a test.
#pragma once
#include "detectors/retinanet.h"
#include "tests/detectors/tiny_detector.h"

namespace bbam::test {

// For the pictures of tiny_batch().
inline RetinaNetSpec tiny_retinanet_spec() {
  RetinaNetSpec spec;
  spec.classes = 2;
  spec.resnet = {.depth = 18, .norm = Norm::kGroup, .groups = 2, .stem_width = 8};
  spec.fpn.channels = 16;
  spec.freeze_stages = 0;
  spec.anchors.sizes_px = {14, 24, 36, 48, 64};
  spec.anchors.scales = {1, 1.25};
  spec.convolutions = 2;
  return spec;
}

}  // namespace bbam::test
