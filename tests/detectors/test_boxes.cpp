#include "detectors/boxes.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// The older programs' arithmetic on boxes whose x1, y1 are their last pixels.
struct Inclusive {
  double x0, y0, x1, y1;
  double area() const { return (x1 - x0 + 1) * (y1 - y0 + 1); }
};

double legacy_iou(const Inclusive& a, const Inclusive& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0) + 1;
  const double h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0) + 1;
  const double common = std::max(w, 0.0) * std::max(h, 0.0);
  return common / (a.area() + b.area() - common);
}

Inclusive last_pixels(const std::vector<double>& boxes, size_t i) {
  return {boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2] - 1, boxes[4 * i + 3] - 1};
}

Tensor random_boxes(int64_t count, uint64_t seed) {
  std::vector<double> corners = test::random_tensor({count, 4}, seed, 0, 100).to_vector<double>();
  for (size_t i = 0; i < corners.size(); i += 4) {
    corners[i + 2] = corners[i] + 1 + corners[i + 2] / 2;
    corners[i + 3] = corners[i + 1] + 1 + corners[i + 3] / 2;
  }
  return Tensor::from(corners, {count, 4});
}

}  // namespace

TEST_CASE("boxes: IoU by hand") {
  const Tensor a = Tensor::from<float>({0, 0, 10, 10, 5, 5, 5, 5}, {2, 4});
  const Tensor b =
      Tensor::from<float>({0, 0, 10, 10, 5, 0, 15, 10, 10, 0, 20, 10, 5, 5, 5, 5}, {4, 4});
  const std::vector<float> expected{1, 1.f / 3, 0, 0, 0, 0, 0, 0};
  for (Device device : available_devices()) {
    const Tensor got = iou_matrix(a.to(device), b.to(device));
    CHECK(got.to(kCpu).to_vector<float>() == expected);
  }
  CHECK(iou_matrix(a.rows(0, 0), b).shape() == Shape{0, 4});
  CHECK_THROWS_AS(iou_matrix(a, b.cast(DType::kF64)), Error);
}

TEST_CASE("boxes: METHOD B1, the +1 pixel convention in areas and IoU is the half-open one") {
  const Tensor a = random_boxes(7, 1), b = random_boxes(9, 2);
  const auto values_a = a.to_vector<double>(), values_b = b.to_vector<double>();
  const auto got = iou_matrix(a, b).to_vector<double>();
  for (size_t i = 0; i < 7; ++i) {
    CHECK(area(box_at(values_a.data(), int64_t(i))) ==
          test::close_to(last_pixels(values_a, i).area(), 1e-12));
    for (size_t j = 0; j < 9; ++j)
      CHECK(got[9 * i + j] ==
            test::close_to(legacy_iou(last_pixels(values_a, i), last_pixels(values_b, j)), 1e-12));
  }
}

TEST_CASE("boxes: clipping keeps to the picture, and keeps a pixel under legacy_plus_one") {
  const Tensor boxes =
      Tensor::from<float>({-3, -4, 50, 60, 25, 2, 30, 4, -9, -9, -5, -5, 1, 2, 3, 4}, {4, 4});
  const FrameSize frame{.height = 10, .width = 20};
  for (Device device : available_devices()) {
    const Tensor on = boxes.to(device);
    CHECK(clip_boxes(on, frame, false).to(kCpu).to_vector<float>() ==
          std::vector<float>{0, 0, 20, 10, 20, 2, 20, 4, 0, 0, 0, 0, 1, 2, 3, 4});
    CHECK(clip_boxes(on, frame, true).to(kCpu).to_vector<float>() ==
          std::vector<float>{0, 0, 20, 10, 19, 2, 20, 4, 0, 0, 1, 1, 1, 2, 3, 4});
  }
}
