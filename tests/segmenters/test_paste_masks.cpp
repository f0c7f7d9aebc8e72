#include "segmenters/paste_masks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/resize.h"
#include "layers/shape_ops.h"
#include "tests/close.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

std::vector<float> pasted(const Tensor& mask, const Box<float>& box, FrameSize frame) {
  return paste_mask(mask, box, frame).to(kCpu).to_vector<float>();
}

}  // namespace

TEST_CASE("paste masks: torchvision's probabilities in the picture") {
  const TensorMap golden = test::golden("mask_rcnn").tensors;
  const Tensor boxes = golden.at("paste.boxes"), expected = golden.at("paste.pasted");
  const int64_t side = golden.at("paste.masks").dim(1), count = boxes.dim(0);
  const FrameSize frame{.height = expected.dim(1), .width = expected.dim(2)};
  REQUIRE(count == 6);
  for (Device device : available_devices())
    for (int64_t d = 0; d < count; ++d) {
      INFO(to_string(device), " box ", d);
      const Tensor mask = golden.at("paste.masks").rows(d, d + 1).reshape({side, side});
      const auto given = pasted(mask.to(device), box_at(boxes.data<float>(), d), frame);
      const auto wanted = expected.rows(d, d + 1).to_vector<float>();
      double worst = 0;
      for (size_t i = 0; i < wanted.size(); ++i) {
        CHECK((given[i] == 0) == (wanted[i] == 0));
        worst = std::max(worst, double(std::abs(given[i] - wanted[i])));
      }
      CHECK(worst < 2e-6);
    }
}

TEST_CASE("paste masks: the padded mask, resized and placed by hand") {
  // A box of 28 x 14 pixels: its last pixel lies 27 and 13 behind the first, grown by 30 / 28.
  const Tensor mask = test::random_tensor({28, 28}, 940, 0, 1).cast(DType::kF32);
  const FrameSize frame{.height = 30, .width = 40};
  const auto given = pasted(mask, {5, 8, 33, 22}, frame);
  // Columns: 18.5 -+ 13.5 * 30 / 28 = 4.04 and 32.96; rows: 14.5 -+ 6.96 = 7.54 and 21.46.
  Variable padded = pad_zeros(pad_zeros(Variable(mask), 0, 1, 1), 1, 1, 1);
  const auto resized =
      resize_bilinear(reshape(padded, {1, 30, 30, 1}), 21 - 7 + 1, 32 - 4 + 1, Corners::kHalfPixel)
          .value()
          .to_vector<float>();
  for (int64_t y = 0; y < 30; ++y)
    for (int64_t x = 0; x < 40; ++x) {
      const bool is_inside = y >= 7 && y <= 21 && x >= 4 && x <= 32;
      const float expected = is_inside ? resized[size_t((y - 7) * 29 + x - 4)] : 0.f;
      INFO("row ", y, " column ", x);
      CHECK(given[size_t(y * 40 + x)] == test::close_to(expected, 1e-6, 1));
    }
}

TEST_CASE("paste masks: a full mask fills its half-open box, but for what truncation takes") {
  const Tensor full = Tensor::full({28, 28}, 1);
  const FrameSize frame{.height = 60, .width = 80};
  const Tensor above = pasted_above(paste_mask(full, {10, 20, 38, 48}, frame));
  int64_t wrong = 0;
  for (int64_t y = 0; y < 60; ++y)
    for (int64_t x = 0; x < 80; ++x) {
      const bool is_inside = x >= 10 && x < 38 && y >= 20 && y < 48;
      const bool is_last = x == 37 || y == 47;
      if (!is_last) wrong += above.data<uint8_t>()[y * 80 + x] != is_inside;
      if (!is_inside) wrong += above.data<uint8_t>()[y * 80 + x];
    }
  CHECK(wrong == 0);
}

TEST_CASE("paste masks: what lies outside the picture is cut off, not squeezed into it") {
  const Tensor mask = test::random_tensor({14, 14}, 941, 0, 1).cast(DType::kF32);
  // The same box in a picture with 40 pixels of margin.
  const auto all = pasted(mask, {45, 42, 75, 66}, {.height = 100, .width = 100});
  const auto part = pasted(mask, {5, 2, 35, 26}, {.height = 20, .width = 30});
  for (int64_t y = 0; y < 20; ++y)
    for (int64_t x = 0; x < 30; ++x)
      CHECK(part[size_t(y * 30 + x)] == all[size_t((y + 40) * 100 + x + 40)]);
  for (const float p : pasted(mask, {70, 3, 90, 20}, {.height = 20, .width = 30})) CHECK(p == 0);
}

TEST_CASE("paste masks: the threshold is exclusive, and wrong input is refused") {
  const Tensor map = Tensor::from<float>({0.5f, 0.51f, 0, 1}, {2, 2});
  CHECK(pasted_above(map).to_vector<uint8_t>() == std::vector<uint8_t>{0, 1, 0, 1});
  CHECK(pasted_above(map, 0.9).to_vector<uint8_t>() == std::vector<uint8_t>{0, 0, 0, 1});
  const Tensor mask = Tensor::zeros({3, 3});
  const FrameSize frame{.height = 4, .width = 5};
  CHECK(paste_mask(mask, {1, 1, 1, 1}, frame).shape() == Shape{4, 5});
  CHECK(paste_mask(mask, {1, 1, 3, 3}, {}).shape() == Shape{0, 0});
  CHECK_THROWS_AS(paste_mask(Tensor::zeros({3, 4}), {0, 0, 1, 1}, frame), Error);
  CHECK_THROWS_AS(paste_mask(Tensor::zeros({3}), {0, 0, 1, 1}, frame), Error);
  CHECK_THROWS_AS(paste_mask(Tensor::zeros({0, 0}), {0, 0, 1, 1}, frame), Error);
  CHECK_THROWS_AS(paste_mask(mask, {0, 0, NAN, 1}, frame), Error);
  CHECK_THROWS_AS(paste_mask(mask, {0, 0, 1e7f, 1}, frame), Error);
}
