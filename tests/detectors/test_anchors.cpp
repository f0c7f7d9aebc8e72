#include "detectors/anchors.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/close.h"

using namespace bbam;

TEST_CASE("anchors: METHOD B1, legacy generator: window 0..base-1, rounded sides, inclusive") {
  // The authors' table for base 16 and scale 8 [Ren 2015]: first and last pixels counted from 1, so
  // that the first of a row becomes x0 + 1 and the last is x1.
  const std::vector<float> table{-83, -39, 100, 56, -55, -55, 72, 72, -35, -79, 52, 96};
  std::vector<float> got =
      cell_anchors({.sizes_px = {128}, .strides_px = {16}}, 0).to_vector<float>();
  for (size_t k = 0; k < got.size(); ++k) got[k] += k % 4 < 2 ? 1 : 0;
  CHECK(got == table);
  // By hand, base 4 and size 32: sqrt(16 / 0.5) = 5.66 -> 6 wide, 3 high, times 8.
  CHECK(cell_anchors({.sizes_px = {32}, .strides_px = {4}}, 0).to_vector<float>() ==
        std::vector<float>{-22, -10, 26, 14, -14, -14, 18, 18, -10, -22, 14, 26});
}

TEST_CASE("anchors: METHOD B1, sizes 32 to 512 on strides 4 to 64, ratios 0.5, 1, 2") {
  const AnchorSpec spec;
  CHECK(spec.sizes_px == std::vector<double>{32, 64, 128, 256, 512});
  CHECK(spec.strides_px == std::vector<int64_t>{4, 8, 16, 32, 64});
  CHECK(spec.ratios == std::vector<double>{0.5, 1, 2});
  for (int64_t level = 0; level < spec.levels(); ++level) {
    const auto values = cell_anchors(spec, level).to_vector<float>();
    const Box<float> square = box_at(values.data(), 1);
    CHECK(area(square) ==
          test::close_to(spec.sizes_px[size_t(level)] * spec.sizes_px[size_t(level)], 1e-6));
    CHECK(square.x0 + square.x1 == float(spec.strides_px[size_t(level)]));  // the cell's middle
  }
}

TEST_CASE("anchors: BBAM's Mask R-CNN sizes keep fractions of a pixel") {
  // 4 wide becomes 6 x 3 at ratio 0.5, times 21 / 4; METHOD B1.
  const auto values = cell_anchors({.sizes_px = {21}, .strides_px = {4}}, 0).to_vector<float>();
  CHECK(values[2] - values[0] == 31.5f);
  CHECK(values[3] - values[1] == 15.75f);
}

TEST_CASE("anchors: centred generator by hand") {
  const AnchorSpec spec{.sizes_px = {32}, .strides_px = {4}, .style = AnchorStyle::kCentred};
  CHECK(cell_anchors(spec, 0).to_vector<float>() ==
        std::vector<float>{-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23});
}

TEST_CASE("anchors: grid runs over rows, columns, ratios") {
  const AnchorSpec spec{.sizes_px = {16, 32}, .strides_px = {8, 16}};
  const auto cell = cell_anchors(spec, 1).to_vector<float>();
  const Tensor grid = grid_anchors(spec, 1, 3, 5);
  REQUIRE(grid.shape() == Shape{3 * 5 * 3, 4});
  const auto values = grid.to_vector<float>();
  const size_t row = 2, column = 4, ratio = 1;
  const size_t at = 4 * ((row * 5 + column) * 3 + ratio);
  CHECK(values[at] == cell[4] + 64);
  CHECK(values[at + 1] == cell[5] + 32);
  CHECK(values[at + 2] == cell[6] + 64);
  CHECK(values[at + 3] == cell[7] + 32);
  CHECK(grid_anchors(spec, 0, 0, 5).shape() == Shape{0, 4});
}

TEST_CASE("anchors: METHOD B1, straddle threshold 0 leaves out anchors that leave the image") {
  const Tensor anchors = Tensor::from<float>(
      {0, 0, 20, 10, -1, 0, 5, 5, 0, -1, 5, 5, 15, 5, 21, 9, 5, 5, 9, 11, 5, 5, 9, 10.5f}, {6, 4});
  const FrameSize frame{.height = 10, .width = 20};
  CHECK(inside_frame(anchors, frame, 0, true).to_vector<uint8_t>() ==
        std::vector<uint8_t>{1, 0, 0, 0, 0, 1});
  CHECK(inside_frame(anchors, frame, 0, false).to_vector<uint8_t>() ==
        std::vector<uint8_t>{1, 0, 0, 0, 0, 0});
  CHECK(inside_frame(anchors, frame, 1, true).to_vector<uint8_t>() ==
        std::vector<uint8_t>{1, 1, 1, 1, 1, 1});
}

TEST_CASE("anchors: three scales in an octave, by ratio and then scale, by hand") {
  const std::vector<double> octave{1, std::exp2(1.0 / 3), std::exp2(2.0 / 3)};
  AnchorSpec spec{.sizes_px = {32}, .strides_px = {8}, .scales = octave};
  CHECK(spec.per_cell() == 9);
  // Base 8 at ratio 0.5: sqrt(64 / 0.5) = 11.3 -> 11 wide, 5.5 -> 6 high (halves to even), times 4.
  const auto legacy = cell_anchors(spec, 0).to_vector<float>();
  REQUIRE(legacy.size() == 36);
  for (size_t k = 0; k < 3; ++k) {
    const Box<float> wide = box_at(legacy.data(), int64_t(k)),
                     square = box_at(legacy.data(), 3 + int64_t(k));
    CHECK(wide.x1 - wide.x0 == test::close_to(44 * octave[k], 1e-6));
    CHECK(wide.y1 - wide.y0 == test::close_to(24 * octave[k], 1e-6));
    CHECK(square.x1 - square.x0 == test::close_to(32 * octave[k], 1e-6));
    CHECK(square.x0 + square.x1 == test::close_to(8, 1e-6));
  }
  // torchvision: 32, 40 and 50 pixels; 40 / 2 / sqrt(0.5) = 28.3, 50 / 2 / sqrt(0.5) = 35.4.
  spec.style = AnchorStyle::kCentred;
  const auto centred = cell_anchors(spec, 0).to_vector<float>();
  CHECK(std::vector<float>(centred.begin(), centred.begin() + 24) ==
        std::vector<float>{-23, -11, 23, 11, -28, -14, 28, 14, -35, -18, 35, 18,
                           -16, -16, 16, 16, -20, -20, 20, 20, -25, -25, 25, 25});
}

TEST_CASE("anchors: each stands where the grid put it, and other boxes are refused") {
  for (const AnchorStyle style : {AnchorStyle::kLegacy, AnchorStyle::kCentred}) {
    const AnchorSpec spec{.sizes_px = {21, 40},
                          .strides_px = {8, 16},
                          .scales = {1, std::exp2(1.0 / 3), std::exp2(2.0 / 3)},
                          .style = style};
    const std::vector<Shape> features{{1, 5, 90, 2}, {1, 3, 4, 2}};
    for (int64_t level = 0; level < 2; ++level) {
      const Shape& grid = features[size_t(level)];
      const auto places =
          anchor_places(spec, features, grid_anchors(spec, level, grid[1], grid[2]));
      REQUIRE(int64_t(places.size()) == grid[1] * grid[2] * 9);
      for (size_t i = 0; i < places.size(); ++i) {
        CHECK(places[i].level == level);
        CHECK(size_t((places[i].row * grid[2] + places[i].column) * 9 + places[i].kind) == i);
      }
    }
    const Tensor outside = grid_anchors(spec, 1, 4, 4).rows(9 * 12, 9 * 12 + 1);
    CHECK_THROWS_WITH_AS(anchor_places(spec, features, outside),
                         doctest::Contains("is not one of the detector's anchors"), Error);
    for (const float x : {0.5f, 1e30f, NAN})
      CHECK_THROWS_AS(anchor_places(spec, features, Tensor::from<float>({x, 0, 30, 30}, {1, 4})),
                      Error);
    CHECK(anchor_places(spec, features, Tensor::zeros({0, 4})).empty());
    CHECK_THROWS_AS(anchor_places(spec, {features[0]}, outside), Error);
  }
}

TEST_CASE("anchors: specifications that do not fit are refused") {
  CHECK_NOTHROW(check_anchors({}));
  CHECK_THROWS_WITH_AS(check_anchors({.sizes_px = {32}}),
                       doctest::Contains("1 sizes and 5 strides"), Error);
  CHECK_THROWS_AS(check_anchors({.sizes_px = {-32}, .strides_px = {4}}), Error);
  CHECK_THROWS_AS(check_anchors({.ratios = {}}), Error);
  CHECK_THROWS_AS(check_anchors({.scales = {}}), Error);
  CHECK_THROWS_AS(check_anchors({.scales = {1, -2}}), Error);
}
