#include "attribution/head_analysis.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "attribution/gradient_maps.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Bytes = std::vector<uint8_t>;
using Pixels = std::vector<int64_t>;

constexpr int64_t kHeight = 48, kWidth = 64;

// A mask by a predicate of (x, y).
template <class Inside>
Tensor mask_where(Inside inside, Device device = kCpu) {
  Bytes values;
  for (int64_t i = 0; i < kHeight * kWidth; ++i)
    values.push_back(inside(double(i % kWidth), double(i / kWidth)));
  return Tensor::from(values, {kHeight, kWidth}, device);
}

// Symmetric about the pixel (30, 24).
Tensor disc(Device device = kCpu) {
  return mask_where([](double x, double y) { return std::hypot(x - 30, y - 24) <= 18; }, device);
}

Pixels all_pixels() {
  Pixels pixels(size_t(kHeight * kWidth));
  std::iota(pixels.begin(), pixels.end(), 0);
  return pixels;
}

RelativePosition at_length(double length, double theta) {
  return {length, 1 - length, theta, length * std::cos(theta), length * std::sin(theta)};
}

}  // namespace

TEST_CASE("head analysis: METHOD A13, the boundary of a disc has |R| = 1 and its centre 0") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor mask = disc(device);
    const auto contour = contour_of(mask).to_vector<uint8_t>();
    const auto positions = relative_positions(mask, all_pixels());
    REQUIRE(positions.size() == contour.size());
    int64_t boundary = 0;
    for (size_t i = 0; i < contour.size(); ++i) {
      const auto& p = positions[i];
      const double dx = double(int64_t(i) % kWidth) - 30, dy = double(int64_t(i) / kWidth) - 24;
      CHECK(p.r1_px == close_to(std::hypot(dx, dy), 1e-9));
      CHECK(p.length() == close_to(std::hypot(p.x, p.y), 1e-9, 1));
      CHECK((p.length() == 1) == (contour[i] == 1));
      boundary += contour[i];
    }
    CHECK(boundary > 80);
    const auto& centre = positions[24 * kWidth + 30];
    CHECK(centre.r1_px == 0);
    CHECK(centre.length() == 0);
    CHECK(centre.x == 0);
    CHECK(centre.y == 0);
    // Between the two, |R| grows along a ray.
    double before = 0;
    for (int64_t x = 31; x <= 48; ++x) {
      const double now = positions[size_t(24 * kWidth + x)].length();
      CHECK(now > before);
      before = now;
    }
  }
}

TEST_CASE("head analysis: METHOD A13, r1, r2, theta and R of a rectangle in closed form") {
  // Pixels 10 to 29 by 5 to 14: centroid (19.5, 9.5).
  const Tensor mask =
      mask_where([](double x, double y) { return x >= 10 && x <= 29 && y >= 5 && y <= 14; });
  const auto positions = relative_positions(mask, all_pixels());
  for (int64_t i = 0; i < kHeight * kWidth; ++i) {
    const auto x = double(i % kWidth), y = double(i / kWidth);
    const double beside = std::max({10 - x, x - 29, 0.0}), above = std::max({5 - y, y - 14, 0.0});
    const double within = std::min({x - 10, 29 - x, y - 5, 14 - y});
    const double r1 = std::hypot(x - 19.5, y - 9.5);
    const double r2 = within >= 0 ? within : std::hypot(beside, above);
    const RelativePosition& p = positions[size_t(i)];
    CAPTURE(i);
    CHECK(p.r1_px == close_to(r1, 1e-9));
    CHECK(p.r2_px == close_to(r2, 1e-9));
    CHECK(p.x == close_to((x - 19.5) / (r1 + r2), 1e-9));
    CHECK(p.y == close_to((y - 9.5) / (r1 + r2), 1e-9));
    CHECK(std::tan(p.theta) == close_to((y - 9.5) / (x - 19.5), 1e-6));
  }
  // y points down: theta is positive below the centroid.
  CHECK(positions[5 * kWidth + 20].theta < 0);
  CHECK(positions[14 * kWidth + 20].theta > 0);
  CHECK(positions[14 * kWidth + 10].theta > std::numbers::pi / 2);
}

TEST_CASE("head analysis: METHOD A13, the contour has a 4-neighbour outside, holes and edges too") {
  const Bytes mask{1, 1, 1, 1, 1, 0,  //
                   1, 1, 1, 1, 1, 0,  //
                   1, 1, 1, 0, 1, 0,  //
                   1, 1, 1, 1, 1, 0,  //
                   1, 1, 1, 1, 1, 0};
  const Bytes contour{1, 1, 1, 1, 1, 0,  //
                      1, 0, 0, 1, 1, 0,  //
                      1, 0, 1, 0, 1, 0,  //
                      1, 0, 0, 1, 1, 0,  //
                      1, 1, 1, 1, 1, 0};
  for (const Device device : available_devices())
    CHECK(contour_of(Tensor::from(mask, {5, 6}, device)).to_vector<uint8_t>() == contour);
  // A single pixel is its own centroid and contour.
  const auto p = relative_positions(Tensor::from<uint8_t>({0, 1, 0}, {1, 3}), {0, 1});
  CHECK(p[1].length() == 0);
  CHECK(p[0].length() == 0.5);
  CHECK(p[0].x == close_to(-0.5, 1e-9));
}

TEST_CASE("head analysis: METHOD A13, pixels above 0.9 of the map's own range") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor map = Tensor::from<float>({-1, 3, 2.5f, 2.625f, 2.59f, 3}, {2, 3}, device);
    CHECK(high_pixels(map) == Pixels{1, 3, 5});
    CHECK(high_pixels(map, 0.875) == Pixels{1, 3, 4, 5});  // 2.5 is at 0.875 and not above it
    CHECK(high_pixels(Tensor::full({2, 3}, 0.95, DType::kF32, device)).empty());
    CHECK(high_pixels(Tensor::zeros({0, 3}, DType::kF32, device)).empty());
  }
}

TEST_CASE("head analysis: METHOD A13, figure 6(b), the positions of several objects together") {
  PositionSummary summary(4, 0.75);
  CHECK(summary.mean_length() == 0);
  CHECK(summary.share_near_boundary() == 0);
  const double pi = std::numbers::pi;
  summary.add({at_length(0.25, 0.1), at_length(1, 0)});
  summary.add({at_length(1, pi / 2 + 1e-9), at_length(0.75, 1.25 * pi), at_length(0.8, -0.1)});
  CHECK(summary.pixels() == 5);
  CHECK(summary.mean_length() == close_to((0.25 + 1 + 1 + 0.75 + 0.8) / 5, 1e-9));
  CHECK(summary.share_near_boundary() == close_to(3.0 / 5, 1e-9));
  CHECK(summary.histogram().to_vector<int64_t>() == std::vector<int64_t>{1, 0, 0, 0,  //
                                                                         0, 0, 0, 1,  //
                                                                         0, 0, 1, 1,  //
                                                                         0, 1, 0, 0});
}

TEST_CASE("head analysis: METHOD A13, a map on the outline is told from one inside") {
  // Maps as the paper says that the two heads have them.
  const auto map_of = [](double from, double to) {
    std::vector<float> values;
    for (int64_t i = 0; i < kHeight * kWidth; ++i) {
      const double r = std::hypot(double(i % kWidth) - 30, double(i / kWidth) - 24);
      values.push_back(r >= from && r <= to ? 1.f : 0.1f);
    }
    return Tensor::from(values, {kHeight, kWidth});
  };
  PositionSummary box_head, class_head;
  box_head.add(relative_positions(disc(), high_pixels(map_of(17, 19))));
  class_head.add(relative_positions(disc(), high_pixels(map_of(0, 9))));
  CHECK(box_head.mean_length() > 0.9);
  CHECK(class_head.mean_length() < 0.5);
  CHECK(class_head.share_near_boundary() == 0);
  CHECK(box_head.share_near_boundary() > 0.9);
}

TEST_CASE("head analysis: METHOD A13, the share of high pixels inside the proposal") {
  // Centres of a row of pixels at y = 1.5: 2.5, 3.5, 4.5, 5.5.
  const Pixels pixels{12, 13, 14, 15};
  CHECK(count_inside(pixels, 10, {3, 0, 5, 2}) == 2);
  CHECK(count_inside(pixels, 10, {2.5f, 1.5f, 5.5f, 9}) == 3);
  CHECK(count_inside(pixels, 10, {0, 2, 9, 9}) == 0);
  // The toy detector sees nothing but its proposal, so its gradient is 0 elsewhere.
  ToyDetector detector;
  const Tensor image = random_tensor({1, 30, 40, 3}, 6, -100, 100).cast(DType::kF32);
  const BoxArray proposal{8.5f, 6.5f, 24.5f, 22.5f};
  const Tensor map = simple_grad(detector, image, ObjectProposals::of_box(proposal, 1));
  const Pixels high = high_pixels(map, 0.5);
  CHECK(high.size() > 3);
  const BoxArray read{8, 6, 26, 24};  // bilinear samples reach a pixel further
  CHECK(count_inside(high, 40, read) == int64_t(high.size()));
}

TEST_CASE("head analysis: figure 8, proposals that lie most differently") {
  // 0 and 3 do not meet; of the others 2 meets the chosen ones least, then 4, which equals 1.
  const Tensor boxes = Tensor::from<float>(
      {0, 0, 10, 10, 1, 0, 11, 10, 5, 0, 15, 10, 11, 0, 21, 10, 1, 0, 11, 10}, {5, 4});
  using Rows = std::vector<int64_t>;
  CHECK(most_different(boxes, 2) == Rows{0, 3});
  CHECK(most_different(boxes, 3) == Rows{0, 3, 2});
  CHECK(most_different(boxes, 9) == Rows{0, 3, 2, 1, 4});
  CHECK(most_different(boxes, 0).empty());
  CHECK(most_different(Tensor::zeros({0, 4}), 3).empty());
  CHECK(most_different(Tensor::from<float>({0, 0, 1, 1}, {1, 4}), 3) == Rows{0});
  CHECK_THROWS_AS(most_different(Tensor::zeros({3, 5}), 3), Error);
}

TEST_CASE("head analysis: METHOD A13, the mean IoU of positive proposals with their predictions") {
  Positives positives;
  positives.proposals = Tensor::from<float>({0, 0, 10, 10, 0, 0, 10, 10, 5, 5, 15, 15}, {3, 4});
  positives.regressed = Tensor::from<float>({0, 0, 10, 5, 0, 0, 10, 10, 10, 5, 20, 15}, {3, 4});
  CHECK(mean_proposal_iou(positives) == close_to((0.5 + 1 + 1.0 / 3) / 3, 1e-9));
  positives.proposals = positives.regressed = Tensor::zeros({0, 4});
  CHECK(mean_proposal_iou(positives) == 0);
}

TEST_CASE("head analysis: what does not fit is refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(high_pixels(Tensor::from<float>({0, nan, 1}, {1, 3})), Error);
  CHECK_THROWS_AS(high_pixels(Tensor::zeros({3})), Error);
  CHECK_THROWS_AS(contour_of(Tensor::zeros({3}, DType::kU8)), Error);
  CHECK_THROWS_WITH_AS(relative_positions(Tensor::zeros({4, 4}, DType::kU8), {0}),
                       doctest::Contains("empty"), Error);
  CHECK_THROWS_AS(relative_positions(disc(), {kHeight * kWidth}), Error);
  CHECK_THROWS_AS(relative_positions(disc(), {-1}), Error);
  CHECK_THROWS_AS(PositionSummary(0), Error);
}
