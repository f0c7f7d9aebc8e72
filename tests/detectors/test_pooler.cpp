#include "detectors/pooler.h"

#include <doctest/doctest.h>

#include "layers/roi_align.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// P2 to P5 of a 64 x 96 image, two channels.
std::vector<Variable> pyramid(uint64_t seed) {
  std::vector<Variable> levels;
  for (int64_t stride : {4, 8, 16, 32})
    levels.emplace_back(test::random_tensor({2, 64 / stride, 96 / stride, 2}, seed + stride), true);
  return levels;
}

// On levels 4, 2 and 3 when the canonical size is 32.
const PoolerSpec kSmall{.bins = 3, .canonical_size_px = 32};
Tensor some_rois() {
  return Tensor::from<float>({1, 10, 5, 50, 40, 0, 3, 4, 9, 12, 1, 8, 8, 28, 32}, {3, 5});
}

}  // namespace

TEST_CASE("pooler: METHOD B1, level = floor(4 + log2(sqrt(area)/224 + 1e-6)) clipped to 2..5") {
  const Tensor rois = Tensor::from<float>({0, 0,  0,  224, 224,  // the canonical size: level 4
                                           0, 10, 10, 233, 234,  // a pixel less: level 3
                                           0, 0,  0,  112, 112,  // exactly half: level 3
                                           0, 0,  0,  28,  448,  // same area, other shape: 3
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

TEST_CASE("pooler: METHOD B1, each RoI is aligned on its level, 2 samples, no half-pixel shift") {
  const std::vector<Variable> features = pyramid(1);
  const Tensor rois = some_rois();
  const Variable pooled = pool(features, rois, kSmall, false);
  REQUIRE(pooled.shape() == Shape{3, 3, 3, 2});
  const std::vector<size_t> level{2, 0, 1};
  for (int64_t r = 0; r < 3; ++r) {
    const size_t l = level[size_t(r)];
    const Variable alone = roi_align(features[l], rois.rows(r, r + 1), 0.25 / double(1 << l),
                                     {.out_h = 3, .out_w = 3, .sampling_ratio = 2});
    CHECK(pooled.value().rows(r, r + 1).to_vector<double>() == alone.value().to_vector<double>());
  }
}

TEST_CASE("pooler: METHOD B1, legacy RoIAlign is handed the last pixel as the corner") {
  const std::vector<Variable> features = pyramid(2);
  std::vector<float> moved = some_rois().to_vector<float>();
  for (size_t i = 0; i < moved.size(); ++i) moved[i] -= i % 5 >= 3 ? 1 : 0;
  // One level alone, so that the moved boxes do not change levels.
  PoolerSpec coarsest = kSmall;
  coarsest.canonical_level = 10;
  CHECK(pool(features, some_rois(), coarsest, true).value().to_vector<double>() ==
        pool(features, Tensor::from(moved, {3, 5}), coarsest, false).value().to_vector<double>());
}

TEST_CASE("pooler: levels without a RoI need not be there") {
  const std::vector<Variable> all = pyramid(3);
  std::vector<Variable> some = all;
  some[3] = Variable();
  some[1] = Variable();
  const Tensor rois = some_rois().rows(0, 2);
  const Variable pooled = pool(some, rois, kSmall, true);
  CHECK(pooled.value().to_vector<double>() ==
        pool(all, rois, kSmall, true).value().to_vector<double>());
  backward(pooled, Tensor::full(pooled.shape(), 1, DType::kF64));
  CHECK(all[0].grad().defined());
  CHECK(all[2].grad().defined());
  CHECK_FALSE(all[3].grad().defined());
  CHECK_THROWS_WITH_AS(pool(some, some_rois(), kSmall, true),
                       doctest::Contains("level P3, which was not computed"), Error);
  CHECK_THROWS_AS(pool({all[0]}, rois, kSmall, true), Error);
  CHECK(pool(all, rois.rows(0, 0), kSmall, true).shape() == Shape{0, 3, 3, 2});
}
