#include "attribution/map_to_probability.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

Tensor map_of(Shape shape, uint64_t seed) {
  return random_tensor(shape, seed, 0, 1).cast(DType::kF32);
}

// The definition, pixel by pixel.
double blurred_at(const std::vector<float>& x, int64_t h, int64_t w, int64_t row, int64_t col,
                  int sigma) {
  const auto mirrored = [](int64_t i, int64_t n) {
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
  };
  double sum = 0, weights = 0;
  for (int a = -sigma; a <= sigma; ++a)
    for (int b = -sigma; b <= sigma; ++b) {
      const double weight = std::exp(-(a * a + b * b) / (2.0 * sigma * sigma));
      weights += weight;
      sum += weight * x[size_t(mirrored(row + a, h) * w + mirrored(col + b, w))];
    }
  return sum / weights;
}

// A row of pixels, θ = 0.75 and a blur of one pixel; as many cells as pixels, so that nothing is
// resized. `ranked`: the row after the division by its rank.
std::vector<float> check_authors(const std::vector<float>& row, const PixelRect& box,
                                 const std::vector<double>& ranked) {
  const auto n = int64_t(row.size());
  const double side = std::exp(-0.5), long_side = 1e9;
  const auto mirrored = [&](int64_t i) { return ranked[size_t(i < 0 ? 1 : i == n ? n - 2 : i)]; };
  std::vector<double> expected(row.size(), 0);
  for (int64_t i = box.x0; i < box.x1; ++i)
    expected[size_t(i)] =
        (mirrored(i) + side * (mirrored(i - 1) + mirrored(i + 1))) / (1 + 2 * side);
  const double greatest = *std::max_element(expected.begin(), expected.end());
  std::vector<float> values;
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor map = Tensor::from(row, {1, n}).to(device);
    values = authors_probability(map, box, 0.75, 1, n, long_side).to_vector<float>();
    REQUIRE(values.size() == row.size());
    for (int64_t i = 0; i < n; ++i) {
      const bool inside = i >= box.x0 && i < box.x1;
      CHECK(values[size_t(i)] == close_to(inside ? expected[size_t(i)] / greatest : 0.0, 1e-6));
    }
  }
  return values;
}

}  // namespace

TEST_CASE("map: METHOD A7, rescaled to [0, 1] inside the box and zero outside") {
  const PixelRect box = pixel_rect({10.2f, 4.6f, 40, 25}, 30, 50);
  CHECK(box.x0 == 10);
  CHECK(box.y0 == 5);
  CHECK(box.x1 == 40);
  CHECK(box.y1 == 25);
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor map = rescaled_map(map_of({4, 6}, 1).to(device), box, 30, 50);
    const auto values = map.to_vector<float>();
    float least = 2, most = -1;
    for (int64_t row = 0; row < 30; ++row)
      for (int64_t col = 0; col < 50; ++col) {
        const float v = values[size_t(row * 50 + col)];
        const bool inside = row >= 5 && row < 25 && col >= 10 && col < 40;
        if (!inside) CHECK(v == 0);
        if (inside) least = std::min(least, v), most = std::max(most, v);
      }
    CHECK(std::abs(least) <= 1e-6);
    CHECK(std::abs(most - 1) <= 1e-6);
  }
}

TEST_CASE("map: a constant map becomes zero or one, not NaN") {
  const PixelRect box = pixel_rect({2, 2, 8, 8}, 10, 10);
  for (const Device device : available_devices())
    for (const double value : {0.0, 0.7}) {
      const Tensor map = Tensor::full({3, 3}, value, DType::kF32, device);
      const Tensor rescaled = rescaled_map(map, box, 10, 10);
      const Tensor expected = filled_box(box, value > 0 ? 1 : 0, 10, 10, kCpu);
      CHECK(rescaled.to_vector<float>() == expected.to_vector<float>());
    }
}

TEST_CASE("map: METHOD A7, the authors rescale the whole map before it is cut to the box") {
  // The least value lies outside the box, so none inside becomes 0. 10 pixels and θ = 0.75: the
  // value at rank 2 is 0.8.
  const std::vector<float> row{0, 0.6f, 0.6f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.8f, 0.9f, 1, 0};
  std::vector<double> ranked;
  for (size_t i = 0; i < row.size(); ++i)
    ranked.push_back(i < 1 || i > 10 ? 0 : std::min(row[i] / 0.8, 1.0));
  check_authors(row, {1, 0, 11, 1}, ranked);
}

TEST_CASE("map: METHOD A7, the authors rescale once more after the blur") {
  // One certain pixel: its blur has a peak of 0.45, which is brought back to 1.
  const std::vector<float> sparse{0, 0, 0, 0.3f, 0, 0, 0, 0};
  const auto values = check_authors(sparse, {1, 0, 7, 1}, {0, 0, 0, 1, 0, 0, 0, 0});
  CHECK(values[3] == 1);
  CHECK(values[2] == close_to(std::exp(-0.5)));
  // In a box that is the image no value is 0; a mask of it must not be lost by taking the least
  // off.
  check_authors({0.2f, 0.8f, 0, 0.8f}, {0, 0, 4, 1}, {0.25, 1, 0, 1});
}

TEST_CASE("map: METHOD A7, the least value becomes exactly 0, also where the rank falls on it") {
  // Scaled and then shifted, 0.1 would round to 7e-9, and the division make every pixel certain.
  const PixelRect box{0, 0, 40, 40};
  std::vector<float> halves(16, 0.1f);
  std::fill(halves.begin() + 8, halves.end(), 1.f);
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor map = Tensor::from(halves, {4, 4}).to(device);
    const auto rescaled = rescaled_map(map, box, 40, 40).to_vector<float>();
    CHECK(std::count(rescaled.begin(), rescaled.end(), 0.f) == 15 * 40);
    // A blur of one pixel spreads the lower half, which is certain, by one row.
    const auto values = authors_probability(map, box, 0.2, 40, 40, 1e9).to_vector<float>();
    CHECK(std::count(values.begin(), values.end(), 0.f) == 14 * 40);
  }
}

TEST_CASE("map: METHOD A7, the map is resized as a picture is") {
  // Half-pixel corners, as the authors' cv2.resize: the first pixels of 4 a cell lie before the
  // first cell's middle and take its value.
  const PixelRect box{0, 0, 8, 1};
  const auto values =
      rescaled_map(Tensor::from<float>({0, 1}, {1, 2}), box, 1, 8).to_vector<float>();
  CHECK(values == std::vector<float>{0, 0, 0.125f, 0.375f, 0.625f, 0.875f, 1, 1});
}

TEST_CASE("map: METHOD A7, the share 1 - theta of the box reaches 1") {
  const int64_t h = 40, w = 60;
  const PixelRect box = pixel_rect({5, 5, 45, 30}, h, w);
  for (const Device device : available_devices())
    for (const double theta : {0.85, 0.5, 0.2}) {
      CAPTURE(to_string(device));
      const Tensor map = zero_outside(map_of({h, w}, 2).to(device), box);
      const auto values = divide_by_rank(map, box, theta).to_vector<float>();
      const auto certain = std::count(values.begin(), values.end(), 1.f);
      CHECK(std::abs(double(certain) - 1 - double(box.area()) * (1 - theta)) <= 1);
      CHECK(*std::max_element(values.begin(), values.end()) == 1);
    }
}

TEST_CASE("map: METHOD A7, where the value at the rank is 0 everything above 0 becomes certain") {
  std::vector<float> sparse(400, 0.f);
  sparse[210] = 0.1f;
  sparse[211] = 1e-6f;
  const PixelRect box = pixel_rect({0, 0, 20, 20}, 20, 20);
  for (const Device device : available_devices()) {
    const Tensor map = Tensor::from(sparse, {20, 20}, device);
    const auto values = divide_by_rank(map, box, 0.2).to_vector<float>();
    CHECK(values[210] == 1);
    CHECK(values[211] == 1);
    CHECK(std::count(values.begin(), values.end(), 0.f) == 398);
  }
}

TEST_CASE("map: METHOD A7, the blur's sigma follows the box and is whole") {
  CHECK(blur_sigma_px(pixel_rect({0, 0, 100, 100}, 100, 100), 100, 100) == 64);
  CHECK(blur_sigma_px(pixel_rect({0, 0, 50, 50}, 100, 100), 100, 100) == 40);
  CHECK(blur_sigma_px(pixel_rect({0, 0, 1, 1}, 100, 100), 100, 100) == 16);
  // In proportion to the long side, when that is asked for.
  CHECK(blur_sigma_px(pixel_rect({0, 0, 100, 50}, 50, 100), 50, 100, 200) == 32);
  CHECK(blur_sigma_px(pixel_rect({0, 0, 1, 1}, 20, 20), 20, 20, 500) == 1);
}

TEST_CASE(
    "map: METHOD A7, values by rank are spread evenly, equal ones share the middle, and the scale "
    "is lost") {
  const PixelRect box = pixel_rect({1, 0, 5, 1}, 1, 6);
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const auto ranks = [&](const std::vector<float>& row) {
      return rank_normalised(Tensor::from(row, {1, 6}, device), box).to_vector<float>();
    };
    CHECK(ranks({9, 0.1f, 0.3f, 0.2f, 0.4f, 9}) ==
          std::vector<float>{0, 0.125f, 0.625f, 0.375f, 0.875f, 0});
    CHECK(ranks({0, 0, 0, 0, 8, 0}) == std::vector<float>{0, 0.375f, 0.375f, 0.375f, 0.875f, 0});
    CHECK(ranks({0, 1e-3f, 3e-3f, 2e-3f, 4e-3f, 0}) == ranks({0, 1, 3, 2, 4, 0}));
  }
}

TEST_CASE("map: METHOD A7, the blur equals the double sum over a mirrored image") {
  const int64_t h = 9, w = 7;
  const int sigma = 3;
  const auto x = map_of({h, w}, 3).to_vector<float>();
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const auto y = gaussian_blur(Tensor::from(x, {h, w}, device), sigma).to_vector<float>();
    for (int64_t row = 0; row < h; ++row)
      for (int64_t col = 0; col < w; ++col)
        CHECK(y[size_t(row * w + col)] == close_to(blurred_at(x, h, w, row, col, sigma)));
  }
}

TEST_CASE("map: a blur wider than the image and boxes at its edge") {
  for (const Device device : available_devices()) {
    const Tensor narrow = Tensor::full({1, 3}, 0.5, DType::kF32, device);
    for (const float v : gaussian_blur(narrow, 16).to_vector<float>()) CHECK(v == close_to(0.5));
    const auto filled =
        filled_box(pixel_rect({1, 2, 4, 5}, 6, 7), 0.7, 6, 7, device).to_vector<float>();
    CHECK(std::count(filled.begin(), filled.end(), 0.7f) == 9);
    CHECK(std::count(filled.begin(), filled.end(), 0.f) == 33);
  }
  const PixelRect corner = pixel_rect({-5, -5, 0.2f, 0.2f}, 10, 10);
  CHECK(corner.area() == 1);
  const PixelRect beyond = pixel_rect({50, 50, 60, 60}, 10, 10);
  CHECK(beyond.x0 == 9);
  CHECK(beyond.x1 == 10);
}
