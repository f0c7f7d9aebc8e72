// What the whole detectors that are compared with torchvision's look at. The other half is
// tests/golden/make_detector.py and make_retinanet.py.
#pragma once
#include <cmath>
#include <vector>

#include "detectors/ground_truth.h"
#include "tests/golden_weights.h"

namespace bbam::test {

// (N, height, width, 3): waves and noise inside each frame, 0 outside.
inline Tensor golden_pictures(const std::vector<FrameSize>& frames, int64_t height, int64_t width) {
  const Random noise(kSeed, name_hash("images"));
  Tensor images = Tensor::zeros({int64_t(frames.size()), height, width, 3});
  float* value = images.mutable_data<float>();
  for (int64_t k = 0; k < images.size(); ++k) {
    const int64_t c = k % 3, x = k / 3 % width, y = k / 3 / width % height,
                  n = k / 3 / width / height;
    if (y >= frames[size_t(n)].height || x >= frames[size_t(n)].width) continue;
    const double waves = std::sin((0.11 + 0.05 * double(n)) * double(x) + 0.7 * double(c)) +
                         std::cos((0.07 + 0.03 * double(c)) * double(y) + double(n));
    value[k] = float(waves + 2 * noise.uniform(uint64_t(k)) - 1);
  }
  return images;
}

// Whether the rows of a and b are the same up to order (equal scores may swap) and rounding.
inline void check_same_rows(const Tensor& got, const Tensor& expected, double tolerance) {
  REQUIRE(got.shape() == expected.shape());
  const auto a = got.to_vector<float>(), b = expected.to_vector<float>();
  const size_t columns = a.size() / size_t(got.dim(0));
  for (size_t i = 0; i < b.size(); i += columns) {
    double nearest = INFINITY;
    for (size_t j = 0; j < a.size(); j += columns) {
      double distance = 0;
      for (size_t k = 0; k < columns; ++k)
        distance = std::max(distance, double(std::abs(a[j + k] - b[i + k])));
      nearest = std::min(nearest, distance);
    }
    INFO("row ", i / columns);
    CHECK(nearest < tolerance);
  }
}

// Of both pictures.
inline std::vector<GroundTruth> golden_truth() {
  return {{Tensor::from<float>({10, 20, 90, 100, 60, 5, 180, 60, 100, 60, 130, 120}, {3, 4}),
           Tensor::from<int64_t>({3, 7, 12})},
          {Tensor::from<float>({30, 10, 150, 110}, {1, 4}), Tensor::from<int64_t>({20})}};
}

}  // namespace bbam::test
