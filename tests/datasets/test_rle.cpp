#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "datasets/rle.h"
#include "tensor/random.h"
#include "tests/datasets/golden_texts.h"

using namespace bbam;

namespace {

std::vector<uint8_t> pixels_of(const Rle& rle) { return rle_decode(rle).to_vector<uint8_t>(); }

// '#' is set.
Rle rle_of_rows(const std::vector<std::string>& rows) {
  std::vector<uint8_t> pixels;
  for (const std::string& row : rows)
    for (const char c : row) pixels.push_back(c == '#');
  return rle_encode(Tensor::from(pixels, {int64_t(rows.size()), int64_t(rows[0].size())}));
}

std::vector<uint8_t> random_pixels(uint64_t seed, int64_t count, double density) {
  RandomSequence random(seed);
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < count; ++i) pixels.push_back(random.uniform() < density);
  return pixels;
}

// Text, area and bounds of the k-th mask of a group as pycocotools has them.
class GoldenGroup {
 public:
  GoldenGroup(const SafetensorsFile& file, const std::string& name)
      : texts_(test::golden_texts(file, name)),
        area_(file.tensors.at(name + ".area").to_vector<int64_t>()),
        xywh_(file.tensors.at(name + ".xywh").to_vector<int64_t>()) {}

  size_t size() const { return texts_.size(); }
  Rle rle(size_t k, int64_t height, int64_t width) const {
    return rle_from_string(texts_[k], height, width);
  }
  void check_equal(const Rle& rle, size_t k) const {
    CAPTURE(k);
    CHECK(rle_to_string(rle) == texts_[k]);
    CHECK(rle_area(rle) == area_[k]);
    const auto [x0, y0, x1, y1] = rle_bounds(rle);
    CHECK(std::vector<int64_t>{x0, y0, x1 - x0, y1 - y0} ==
          std::vector<int64_t>(&xywh_[k * 4], &xywh_[k * 4] + 4));
  }

 private:
  std::vector<std::string> texts_;
  std::vector<int64_t> area_, xywh_;
};

constexpr double kDensities[] = {0.0, 0.1, 0.5, 0.9, 1.0};

}  // namespace

TEST_CASE("rle: runs go down the columns and begin with clear pixels") {
  const Rle rle = rle_of_rows({"#..", "#.#"});
  CHECK(rle.height == 2);
  CHECK(rle.width == 3);
  CHECK(rle.counts == std::vector<uint32_t>{0, 2, 3, 1});
  CHECK(rle_of_rows({"..", ".."}).counts == std::vector<uint32_t>{4});
  CHECK(rle_of_rows({"##", "##"}).counts == std::vector<uint32_t>{0, 4});
  CHECK(rle_area(rle) == 3);
  CHECK(rle_bounds(rle) == std::array<int64_t, 4>{0, 0, 3, 2});
}

TEST_CASE("rle: encode, decode, text, area and bounds agree with plain loops over the pixels") {
  const int64_t height = 13, width = 9;
  for (const double density : kDensities) {
    const auto pixels = random_pixels(3, height * width, density);
    const Rle rle = rle_encode(Tensor::from(pixels, {height, width}));
    CHECK(pixels_of(rle) == pixels);
    CHECK(rle_from_string(rle_to_string(rle), height, width) == rle);
    const std::vector<int64_t> counts(rle.counts.begin(), rle.counts.end());
    CHECK(rle_from_counts(counts, height, width) == rle);

    int64_t area = 0, x0 = width, y0 = height, x1 = 0, y1 = 0;
    for (int64_t i = 0; i < height * width; ++i) {
      if (!pixels[size_t(i)]) continue;
      ++area;
      x0 = std::min(x0, i % width), x1 = std::max(x1, i % width + 1);
      y0 = std::min(y0, i / width), y1 = std::max(y1, i / width + 1);
    }
    if (area == 0) x0 = y0 = 0;
    CHECK(rle_area(rle) == area);
    CHECK(rle_bounds(rle) == std::array<int64_t, 4>{x0, y0, x1, y1});
  }
}

TEST_CASE("rle: any value but 0 is set") {
  CHECK(rle_encode(Tensor::from(std::vector<uint8_t>{255, 7, 0, 1}, {2, 2})).counts ==
        std::vector<uint32_t>{0, 1, 1, 2});
}

TEST_CASE("rle: merge, intersection and IoU agree with plain loops over the pixels") {
  const int64_t height = 11, width = 17, size = height * width;
  for (const double da : kDensities)
    for (const double db : kDensities) {
      const auto a = random_pixels(1, size, da), b = random_pixels(2, size, db);
      std::vector<uint8_t> either, both;
      int64_t union_area = 0, common = 0, area_a = 0;
      for (size_t i = 0; i < size_t(size); ++i) {
        either.push_back(a[i] | b[i]), both.push_back(a[i] & b[i]);
        union_area += either[i], common += both[i], area_a += a[i];
      }
      const std::vector<Rle> masks = {rle_encode(Tensor::from(a, {height, width})),
                                      rle_encode(Tensor::from(b, {height, width}))};
      CHECK(pixels_of(rle_merge(masks, RleMerge::kUnion)) == either);
      CHECK(pixels_of(rle_merge(masks, RleMerge::kIntersection)) == both);
      CHECK(rle_intersection(masks[0], masks[1]) == common);

      const std::span<const Rle> detection(&masks[0], 1), truth(&masks[1], 1);
      const uint8_t crowd[] = {1};
      const double plain = common == 0 ? 0.0 : double(common) / double(union_area);
      const double of_crowd = common == 0 ? 0.0 : double(common) / double(area_a);
      CHECK(rle_iou(detection, truth) == std::vector<double>{plain});
      CHECK(rle_iou(detection, truth, crowd) == std::vector<double>{of_crowd});
    }
}

TEST_CASE("rle: IoU of lists is a row for each detection; empty lists are empty") {
  const std::vector<Rle> a = {rle_of_rows({"##.", "..."}), rle_of_rows({"..#", "..#"})};
  const std::vector<Rle> b = {rle_of_rows({"#..", "#.."}), rle_of_rows({"###", "###"}),
                              rle_of_rows({"...", "..."})};
  CHECK(rle_iou(a, b) == std::vector<double>{1.0 / 3, 2.0 / 6, 0, 0, 2.0 / 6, 0});
  CHECK(rle_iou(a, {}).empty());
  CHECK(rle_iou({}, b).empty());
}

TEST_CASE("rle: polygons with corners on whole pixels fill exactly the pixels inside") {
  CHECK(rle_from_box(1, 2, 4, 5, 6, 7) ==
        rle_of_rows({".......", ".......", ".###...", ".###...", ".###...", "......."}));
  CHECK(rle_from_box(-3, -3, 2, 1, 3, 4) == rle_of_rows({"##..", "....", "...."}));
  CHECK(rle_from_box(-5, -5, 50, 50, 2, 3) == rle_of_rows({"###", "###"}));
  CHECK(rle_area(rle_from_box(50, 50, 60, 60, 20, 20)) == 0);
  CHECK(rle_area(rle_from_box(3, 3, 3, 3, 20, 20)) == 0);

  // A square with a diagonal cut off, walked either way.
  const std::vector<double> forth = {0, 0, 4, 0, 0, 4}, back = {0, 4, 4, 0, 0, 0};
  CHECK(rle_from_polygon(forth, 4, 4) == rle_from_polygon(back, 4, 4));
  CHECK(rle_from_polygon(forth, 4, 4) == rle_of_rows({"###.", "##..", "#...", "...."}));
}

TEST_CASE("rle: a polygon that crosses itself is filled by the even-odd rule") {
  const std::vector<double> twice = {0, 0, 3, 0, 3, 3, 0, 3, 0, 0, 3, 0, 3, 3, 0, 3};
  CHECK(rle_area(rle_from_polygon(twice, 5, 5)) == 0);
}

TEST_CASE("rle: polygons and boxes become pycocotools' masks") {
  const SafetensorsFile file = test::golden("metrics_rle");
  const GoldenGroup polygons(file, "polygon"), boxes(file, "box");
  const auto xy = file.tensors.at("polygon.xy").to_vector<double>();
  const auto ends = file.tensors.at("polygon.ends").to_vector<int64_t>();
  const auto sizes = file.tensors.at("polygon.sizes").to_vector<int64_t>();
  REQUIRE(polygons.size() == 120);
  for (size_t k = 0; k < polygons.size(); ++k) {
    const size_t begin = k == 0 ? 0 : size_t(ends[k - 1]);
    const std::span<const double> polygon(&xy[begin], size_t(ends[k]) - begin);
    polygons.check_equal(rle_from_polygon(polygon, sizes[k * 2], sizes[k * 2 + 1]), k);
  }
  const auto xywh = file.tensors.at("box.input").to_vector<double>();
  REQUIRE(boxes.size() == 40);
  for (size_t k = 0; k < boxes.size(); ++k) {
    const double* b = &xywh[k * 4];
    boxes.check_equal(rle_from_box(b[0], b[1], b[0] + b[2], b[1] + b[3], 40, 50), k);
  }
}

TEST_CASE("rle: masks, merges and IoU are pycocotools'") {
  const SafetensorsFile file = test::golden("metrics_rle");
  const GoldenGroup pixels(file, "pixel"), a(file, "a"), b(file, "b"), merges(file, "merge");
  for (size_t k = 0; k < pixels.size(); ++k)
    pixels.check_equal(
        rle_encode(
            file.tensors.at("pixel.input").rows(int64_t(k), int64_t(k) + 1).reshape({23, 31})),
        k);
  std::vector<Rle> detections, truths;
  for (size_t k = 0; k < a.size(); ++k) detections.push_back(a.rle(k, 60, 80));
  for (size_t k = 0; k < b.size(); ++k) truths.push_back(b.rle(k, 60, 80));
  CHECK(rle_iou(detections, truths, file.tensors.at("crowd").to_vector<uint8_t>()) ==
        file.tensors.at("iou").to_vector<double>());
  REQUIRE(merges.size() == 18);
  for (size_t k = 0; k < merges.size(); ++k) {
    const std::vector<Rle> three = {detections[k / 2], detections[k / 2 + 1], truths[k / 2]};
    merges.check_equal(rle_merge(three, k % 2 ? RleMerge::kIntersection : RleMerge::kUnion), k);
  }
}

TEST_CASE("rle: hostile input is refused with what was found and what was expected") {
  const auto counts = [](std::vector<int64_t> values, int64_t h = 2, int64_t w = 3) {
    return rle_from_counts(values, h, w);
  };
  CHECK(counts({1, 0, 2, 3}) == counts({3, 3}));
  CHECK_THROWS_WITH_AS(counts({4, -1, 3}), doctest::Contains("run 1 is -1 pixels long"), Error);
  CHECK_THROWS_WITH_AS(counts({4, 3}), doctest::Contains("exceed the 2 x 3 pixels"), Error);
  CHECK_THROWS_AS(counts({std::numeric_limits<int64_t>::max(), 7}), Error);
  CHECK_THROWS_WITH_AS(counts({4, 1}), doctest::Contains("sum to 5 pixels; expected 2 x 3"), Error);
  CHECK_THROWS_WITH_AS(counts({}), doctest::Contains("sum to 0"), Error);
  CHECK_THROWS_WITH_AS(counts({0}, 0, 3), doctest::Contains("size of 0 x 3"), Error);
  CHECK_THROWS_AS(counts({0}, -2, -3), Error);
  CHECK_THROWS_AS(counts({0}, int64_t(1) << 40, int64_t(1) << 40), Error);

  const auto text = [](std::string_view t) { return rle_from_string(t, 2, 3); };
  CHECK(text("33").counts == std::vector<uint32_t>{3, 3});
  CHECK_THROWS_WITH_AS(text("3 "), doctest::Contains("byte 32 at position 1"), Error);
  CHECK_THROWS_WITH_AS(text("3\xff"), doctest::Contains("byte 255 at position 1"), Error);
  CHECK_THROWS_WITH_AS(text("3P"), doctest::Contains("cut short after 2"), Error);
  CHECK_THROWS_WITH_AS(text("oooooooooooo0"), doctest::Contains("has no end"), Error);
  CHECK_THROWS_WITH_AS(text("3O"), doctest::Contains("run 1 is -1"), Error);
  CHECK_THROWS_WITH_AS(text("34"), doctest::Contains("exceed"), Error);
  CHECK_THROWS_WITH_AS(text(""), doctest::Contains("sum to 0"), Error);

  const auto polygon = [](std::vector<double> xy) { return rle_from_polygon(xy, 4, 4); };
  CHECK_THROWS_WITH_AS(polygon({0, 0, 1, 1}), doctest::Contains("4 numbers"), Error);
  CHECK_THROWS_WITH_AS(polygon({0, 0, 1, 1, 2, 2, 3}), doctest::Contains("7 numbers"), Error);
  CHECK_THROWS_WITH_AS(polygon({0, 0, 1e300, 1, 2, 2}), doctest::Contains("1e+300"), Error);
  CHECK_THROWS_WITH_AS(polygon({0, 0, std::nan(""), 1, 2, 2}), doctest::Contains("nan"), Error);

  const std::vector<Rle> mixed = {counts({6}), counts({6}, 3, 2)};
  CHECK_THROWS_WITH_AS(rle_merge(mixed, RleMerge::kUnion),
                       doctest::Contains("2 x 3 and 3 x 2 pixels"), Error);
  CHECK_THROWS_AS(rle_merge({}, RleMerge::kUnion), Error);
  CHECK_THROWS_AS(rle_iou({&mixed[0], 1}, {&mixed[1], 1}), Error);
  const uint8_t crowd[] = {1, 0};
  CHECK_THROWS_WITH_AS(rle_iou({&mixed[0], 1}, {&mixed[0], 1}, crowd),
                       doctest::Contains("2 crowd flags for 1"), Error);
}
