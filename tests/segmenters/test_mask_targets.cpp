#include "segmenters/mask_targets.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tensor/device.h"
#include "tensor/random.h"

using namespace bbam;

namespace {

constexpr int64_t kEighths = 8;  // corners of the tests' regions are whole eighths of a pixel

using Values = std::vector<uint8_t>;

// Random blobs of all three values, K masks of h x w.
Tensor blobs(int64_t count, int64_t height, int64_t width, uint64_t seed) {
  const Random random(seed);
  Values values(size_t(count * height * width));
  constexpr uint8_t kKinds[] = {0, 1, 255};
  for (int64_t k = 0; k < int64_t(values.size()); ++k) {
    const int64_t x = k % width / 3, y = k / width % height / 2, n = k / width / height;
    values[size_t(k)] = kKinds[random.below(uint64_t((n * 1000 + y) * 1000 + x), 3)];
  }
  return Tensor::from(values, {count, height, width});
}

// Counts points: a cell holds (x1 - x0) 8 times (y1 - y0) 8 of them, at the middles of squares of
// 1 / (8 side) pixel.
uint8_t counted_seed(const Tensor& masks, const float* roi, int64_t object, int64_t row,
                     int64_t column, int64_t side) {
  const auto wide = int64_t((roi[3] - roi[1]) * kEighths),
             high = int64_t((roi[4] - roi[2]) * kEighths);
  const double point = 1.0 / double(kEighths * side);
  int64_t ones = 0, ignored = 0;
  for (int64_t a = row * high; a < (row + 1) * high; ++a)
    for (int64_t b = column * wide; b < (column + 1) * wide; ++b) {
      const auto y = int64_t(std::floor(double(roi[2]) + (double(a) + 0.5) * point));
      const auto x = int64_t(std::floor(double(roi[1]) + (double(b) + 0.5) * point));
      if (y < 0 || x < 0 || y >= masks.dim(1) || x >= masks.dim(2)) continue;
      const uint8_t value = masks.data<uint8_t>()[(object * masks.dim(1) + y) * masks.dim(2) + x];
      ones += value == 1;
      ignored += value == 255;
    }
  if (2 * ones >= wide * high) return 1;
  return 2 * (ones + ignored) >= wide * high ? 255 : 0;
}

}  // namespace

TEST_CASE("mask targets: METHOD A11, seeds where half of a cell is covered, against points") {
  const std::vector<Tensor> masks{blobs(2, 12, 17, 1), blobs(1, 9, 6, 2)};
  const Tensor rois = Tensor::from<float>({0, 2,    1,     9,     10,       // a pixel is a cell
                                           0, 0,    0,     17,    12,       // the whole picture
                                           1, 1,    1.5,   4.5,   8.25,     // cells below a pixel
                                           0, 3,    2.125, 14,    2.875,    // thin
                                           0, 1,    1,     3.5,   3.5,      // small
                                           1, 0,    0,     6,     8,        // halves
                                           0, -4.5, -2,    25.25, 20.125},  // beyond the picture
                                          {7, 5});
  const Tensor objects = Tensor::from<int64_t>({0, 1, 0, 1, 0, 0, 1});
  for (const int64_t side : {7, 8, 1, 14}) {
    Values expected;
    int64_t counts[3] = {};
    for (int64_t p = 0; p < rois.dim(0); ++p) {
      const float* roi = rois.data<float>() + 5 * p;
      for (int64_t cell = 0; cell < side * side; ++cell) {
        expected.push_back(counted_seed(masks[size_t(roi[0])], roi, objects.data<int64_t>()[p],
                                        cell / side, cell % side, side));
        counts[expected.back() == 255 ? 2 : expected.back()] += 1;
      }
    }
    if (side > 1)
      for (const int64_t count : counts) CHECK(count > 30);
    for (Device device : available_devices()) {
      INFO(to_string(device), " side ", side);
      const Tensor seeds = mask_targets(masks, rois.to(device), objects.to(device), side);
      CHECK(seeds.shape() == Shape{7, side, side});
      CHECK(seeds.to(kCpu).to_vector<uint8_t>() == expected);
    }
  }
}

TEST_CASE("mask targets: METHOD B2, foreground is T(1), background is not T(1 or ignored)") {
  // Four pixels in a row, and a region whose only cell is all of them.
  const Tensor roi = Tensor::from<float>({0, 0, 0, 4, 1}, {1, 5});
  const Tensor object = Tensor::from<int64_t>({0});
  const auto seed = [&](const Values& row) {
    return mask_targets({Tensor::from(row, {1, 1, 4})}, roi, object, 1).item<uint8_t>();
  };
  CHECK(seed({1, 1, 0, 0}) == kForegroundSeed);  // exactly half
  CHECK(seed({1, 255, 0, 0}) == kNoSeed);        // half with what is ignored
  CHECK(seed({255, 255, 255, 255}) == kNoSeed);
  CHECK(seed({1, 255, 255, 255}) == kNoSeed);
  CHECK(seed({255, 0, 0, 0}) == kBackgroundSeed);
  CHECK(seed({1, 0, 0, 0}) == kBackgroundSeed);
}

TEST_CASE("mask targets: half of a cell is half, also where cells are no binary fractions") {
  // Cells of 8/7 pixels; the edge of the mask, at 4, cuts the middle cell, [24/7, 32/7], in half.
  Values values(64, 0);
  for (size_t k = 0; k < 64; ++k) values[k] = k % 8 < 4;
  const Tensor mask = Tensor::from(values, {1, 8, 8});
  const Tensor roi = Tensor::from<float>({0, 0, 0, 8, 8}, {1, 5});
  const Values seeds =
      mask_targets({mask}, roi, Tensor::from<int64_t>({0}), 7).to_vector<uint8_t>();
  for (size_t k = 0; k < 49; ++k) CHECK(seeds[k] == (k % 7 <= 3));
}

TEST_CASE("mask targets: what lies outside the picture is background") {
  const Tensor mask = Tensor::full({1, 4, 4}, 1, DType::kU8);
  const Tensor roi = Tensor::from<float>({0, 0, -4, 8, 4}, {1, 5});
  const Values seeds =
      mask_targets({mask}, roi, Tensor::from<int64_t>({0}), 2).to_vector<uint8_t>();
  CHECK(seeds == Values{0, 0, 1, 0});
}

TEST_CASE("mask targets: no regions, and wrong ones are refused") {
  const std::vector<Tensor> masks{blobs(2, 5, 5, 3)};
  const auto of = [&](const std::vector<float>& roi, int64_t object) {
    return mask_targets(masks, Tensor::from(roi, {1, 5}), Tensor::from<int64_t>({object}), 4);
  };
  CHECK(mask_targets(masks, Tensor::zeros({0, 5}), Tensor::from(std::vector<int64_t>{}), 28)
            .shape() == Shape{0, 28, 28});
  CHECK_NOTHROW(of({0, 0, 0, 5, 5}, 1));
  CHECK_THROWS_WITH_AS(of({0, 0, 0, 5, 5}, 2), doctest::Contains("object 2 of the 2"), Error);
  CHECK_THROWS_WITH_AS(of({1, 0, 0, 5, 5}, 0), doctest::Contains("image 1 of 1"), Error);
  CHECK_THROWS_AS(of({NAN, 0, 0, 5, 5}, 0), Error);
  CHECK_THROWS_AS(of({0, 0, 0, 0, 5}, 0), Error);
  CHECK_THROWS_AS(of({0, 0, 0, INFINITY, 5}, 0), Error);
  CHECK_THROWS_AS(mask_targets({Tensor::zeros({5, 5}, DType::kU8)}, Tensor::zeros({0, 5}),
                               Tensor::from(std::vector<int64_t>{}), 4),
                  Error);
}
