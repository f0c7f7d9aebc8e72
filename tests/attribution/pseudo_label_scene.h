// Pictures and maps by formula, for the tests of pseudo labels; tests/golden/make_pseudo_label.py
// repeats them.
#pragma once
#include <cmath>
#include <vector>

#include "attribution/explained_detector.h"

namespace bbam::test {

constexpr int64_t kSceneHeight = 300, kSceneWidth = 400;

inline int64_t square_from_middle(int64_t row, int64_t col) {
  return (row - 150) * (row - 150) + (col - 200) * (col - 200);
}

// Dark within `inner` pixels of the middle, bright from `outer` on, a slope between; lightly
// textured, so that the CRF has an edge to find.
inline Tensor sloped_disc(int64_t inner, int64_t outer) {
  std::vector<uint8_t> pixels;
  for (int64_t row = 0; row < kSceneHeight; ++row)
    for (int64_t col = 0; col < kSceneWidth; ++col) {
      const int64_t d2 = square_from_middle(row, col), in2 = inner * inner, out2 = outer * outer;
      const int64_t level =
          d2 < in2 ? 60 : (d2 >= out2 ? 190 : 60 + 130 * (d2 - in2) / (out2 - in2));
      for (int64_t c = 0; c < 3; ++c)
        pixels.push_back(uint8_t(level + (row * 7 + col * 3 + c) % 4));
    }
  return Tensor::from(pixels, {kSceneHeight, kSceneWidth, 3});
}

// 12 x 16 cells of 25 pixels, highest at (x, y) and falling off, as an attribution map might.
inline Tensor hill_map(double x = 200, double y = 150) {
  std::vector<float> map;
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j < 16; ++j) {
      const double dy = 25 * i + 12.5 - y, dx = 25 * j + 12.5 - x;
      map.push_back(float(0.4 * std::exp(-(dx * dx + dy * dy) / (2.0 * 90 * 90))));
    }
  return Tensor::from(map, {12, 16});
}

}  // namespace bbam::test
