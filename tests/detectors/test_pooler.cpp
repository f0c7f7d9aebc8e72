#include "detectors/pooler.h"

#include <doctest/doctest.h>

using namespace bbam;

TEST_CASE("pooler: METHOD B1, level = floor(4 + log2(sqrt(area)/224 + 1e-6)) clipped to 2..5") {
  const Tensor rois = Tensor::from<float>({0, 0,  0,  224, 224,  // the canonical size: level 4
                                           0, 10, 10, 233, 234,  // a pixel less: level 3
                                           0, 0,  0,  112, 112,  // exactly half: level 3
                                           0, 0,  0,  56,  448,  // same area, other shape: 3
                                           0, 0,  0,  447, 447,  // not quite twice: level 4
                                           0, 0,  0,  448, 448,  // twice: level 5
                                           0, 0,  0,  9e3, 9e3,  // clipped to 5
                                           0, 0,  0,  55,  56,   // level 1.99: clipped to 2
                                           0, 5,  5,  5,   5},   // empty: clipped to 2
                                          {9, 5});
  for (Device device : available_devices()) {
    const Tensor levels = roi_levels(rois.to(device), {});
    CHECK(levels.to(kCpu).to_vector<int64_t>() == std::vector<int64_t>{2, 1, 1, 1, 2, 3, 3, 0, 0});
  }
  CHECK(roi_levels(rois.rows(0, 0), {}).shape() == Shape{0});
}
