// METHOD A2 to A6 for the toy detector in plain loops and double, sharing no code with the solver:
// the gradient is taken by central differences of the objective, and Adam is written out.
#pragma once
#include <vector>

#include "attribution/explained_detector.h"

namespace bbam::test {

struct ReplaySpec {
  bool authors = false;  // the constants of the authors' program, else the paper's
  bool box_head = true, class_head = true;
  double fixed_stride_px = 0;  // 0: adaptive, unscaled
  bool from_ones = false;
  double gain = 1;  // of the toy detector
  int iterations = 10;
};

struct ReplayTerms {
  double area = 0, tv = 0, cls = 0, box = 0;
};

struct Replay {
  int64_t grid_height = 0, grid_width = 0, positives = 0;
  std::vector<std::vector<double>> masks;  // masks[i]: after i iterations; masks[0]: the start
  std::vector<ReplayTerms> curve;          // curve[i]: of masks[i]
};

// picture: (height, width, 3), mean-subtracted; proposals: x0, y0, x1, y1 one after the other.
Replay replay(const std::vector<double>& picture, int64_t height, int64_t width,
              const BoxArray& box, int64_t label, const std::vector<float>& proposals,
              const ReplaySpec& spec);

}  // namespace bbam::test
