#include "attribution/masks.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tensor/allocator.h"

using namespace bbam;

namespace {

using Bytes = std::vector<uint8_t>;

// Two channels of five pixels; the first goes around a threshold of 0.25, the second is decoy.
const std::vector<float> kStacked{0, 1, 0.25f, 0, std::nextafter(0.25f, 1.f), 1, 1, 0, -1, 1};

}  // namespace

TEST_CASE("masks: METHOD A7, above and below are strict and read one channel") {
  const MemoryAudit audit;
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor stacked = Tensor::from(kStacked, {1, 5, 2}, device);
    CHECK(above(stacked, 0, 0.25).to_vector<uint8_t>() == Bytes{0, 0, 1, 1, 0});
    CHECK(below(stacked, 0, 0.25).to_vector<uint8_t>() == Bytes{1, 0, 0, 0, 1});
    CHECK(above(stacked, 1, 0.5).to_vector<uint8_t>() == Bytes{1, 0, 1, 0, 1});
    CHECK(below(stacked, 1, 0.5).to_vector<uint8_t>() == Bytes{0, 1, 0, 1, 0});
    CHECK(above(stacked, 0, 0.25).shape() == Shape{1, 5});
  }
  CHECK(MemoryAudit::violations() == 0);
}

TEST_CASE("masks: METHOD A7, a map is certain inside a mask and itself elsewhere") {
  const MemoryAudit audit;
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor map = Tensor::from<float>({0, 0.5f, 0.7f, -1, 2, 0.25f}, {2, 3}, device);
    const Tensor mask = Tensor::from<uint8_t>({1, 0, 1, 0, 0, 1}, {2, 3}, device);
    CHECK(one_inside(map, mask).to_vector<float>() == std::vector<float>{1, 0.5f, 1, -1, 2, 1});
    CHECK(map.to_vector<float>()[0] == 0);
    const Tensor wrong = Tensor::zeros({3, 2}, DType::kU8, device);
    CHECK_THROWS_AS(one_inside(map, wrong), Error);
  }
  CHECK(MemoryAudit::violations() == 0);
}

TEST_CASE("masks: METHOD A7, a mask without another, and the ones it has") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor a = Tensor::from<uint8_t>({0, 0, 1, 1, 1, 0}, {2, 3}, device);
    const Tensor b = Tensor::from<uint8_t>({0, 1, 0, 1, 1, 1}, {2, 3}, device);
    CHECK(without(a, b).to_vector<uint8_t>() == Bytes{0, 0, 1, 0, 0, 0});
    CHECK(without(b, a).to_vector<uint8_t>() == Bytes{0, 1, 0, 0, 0, 1});
    CHECK(count_ones(a) == 3);
    CHECK(count_ones(without(a, a)) == 0);
  }
}

TEST_CASE("masks: maps are stacked pixel by pixel, in order") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor a = Tensor::from<float>({1, 2, 3, 4}, {2, 2}, device);
    const Tensor b = Tensor::from<float>({5, 6, 7, 8}, {2, 2}, device);
    const Tensor stacked = stack_maps({a, b});
    CHECK(stacked.shape() == Shape{2, 2, 2});
    CHECK(stacked.to_vector<float>() == std::vector<float>{1, 5, 2, 6, 3, 7, 4, 8});
  }
}

TEST_CASE("masks: pixels of a range of ranks") {
  const MemoryAudit audit;
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor ranks = Tensor::from<int64_t>({3, 0, 5, 1, 4, 2}, {2, 3}, device);
    const Tensor masks = ranked_masks(ranks, {{0, 2}, {3, 6}, {2, 2}});
    CHECK(masks.shape() == Shape{3, 2, 3, 1});
    CHECK(masks.to_vector<float>() ==
          std::vector<float>{0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0});
    CHECK(ranked_masks(ranks, {}).size() == 0);
  }
  CHECK_THROWS_AS(ranked_masks(Tensor::zeros({6}, DType::kI64), {{0, 1}}), Error);
  CHECK(MemoryAudit::violations() == 0);
}

TEST_CASE("masks: maps and masks of different extents are refused") {
  CHECK_THROWS_AS(stack_maps({}), Error);
  CHECK_THROWS_AS(stack_maps({Tensor::zeros({2, 3}), Tensor::zeros({3, 2})}), Error);
  CHECK_THROWS_AS(without(Tensor::zeros({2, 3}, DType::kU8), Tensor::zeros({3, 2}, DType::kU8)),
                  Error);
  CHECK_THROWS_AS(above(Tensor::zeros({2, 3}), 0, 0.5), Error);
}
