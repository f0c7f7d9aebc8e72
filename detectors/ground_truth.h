// What a detector is shown: pictures, and what they are labelled with, boxes and their classes.
#pragma once
#include <vector>

#include "detectors/boxes.h"

namespace bbam {

struct GroundTruth {
  Tensor boxes;   // (G, 4) f32 on the CPU, in pixels of the network's input
  Tensor labels;  // (G) i64 on the CPU, 1 .. number of classes
};

// Throws Error unless images are (N, H, W, 3), one per frame, and hold their frames.
void check_images(const Tensor& images, const std::vector<FrameSize>& frames);

// Throws Error naming the image and the box unless there is one entry per frame, shapes and types
// are these, every box is finite and has positive sides, and every label is a class.
void check_ground_truth(const std::vector<GroundTruth>& truth, const std::vector<FrameSize>& frames,
                        int64_t classes);

}  // namespace bbam
