#include "segmenters/region_grouping.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tensor/random.h"

using namespace bbam;

namespace {

constexpr int64_t kHeight = 18, kWidth = 23, kChannels = 2;

Tensor patches() {
  RandomSequence random(9);
  std::vector<float> values;
  for (int64_t y = 0; y < kHeight; ++y)
    for (int64_t x = 0; x < kWidth; ++x)
      for (int64_t c = 0; c < kChannels; ++c)
        values.push_back(float(50 * ((x / 6 + y / 5 + c) % 4) + random.uniform(0, 40)));
  return Tensor::from(values, {kHeight, kWidth, kChannels});
}

// The oracle works on sets of pixels and computes everything anew for each pair.
using Pixels = std::set<int64_t>;

std::vector<double> histogram(const Tensor& binned, const Pixels& pixels, int64_t bins) {
  const int64_t values = binned.size() / (kHeight * kWidth);
  std::vector<double> counts(size_t(values * bins), 0);
  for (const int64_t p : pixels)
    for (int64_t k = 0; k < values; ++k)
      counts[size_t(k * bins + binned.data<uint8_t>()[p * values + k])] += 1;
  for (double& count : counts) count /= double(values * int64_t(pixels.size()));
  return counts;
}

double intersection(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += std::min(a[k], b[k]);
  return sum;
}

double similarity(const PixelBins& bins, const SimilarityTerms& terms, const Pixels& a,
                  const Pixels& b) {
  double sum = 0;
  if (terms.color) sum += intersection(histogram(bins.color, a, 25), histogram(bins.color, b, 25));
  if (terms.texture)
    sum += intersection(histogram(bins.texture, a, 10), histogram(bins.texture, b, 10));
  const double both = double(a.size() + b.size()), picture = kHeight * kWidth;
  if (terms.size) sum += 1 - both / picture;
  if (terms.fill) {
    int64_t x0 = kWidth, y0 = kHeight, x1 = -1, y1 = -1;
    for (const Pixels& part : {a, b})
      for (const int64_t p : part) {
        x0 = std::min(x0, p % kWidth), x1 = std::max(x1, p % kWidth);
        y0 = std::min(y0, p / kWidth), y1 = std::max(y1, p / kWidth);
      }
    sum += 1 - (double((x1 - x0 + 1) * (y1 - y0 + 1)) - both) / picture;
  }
  return sum;
}

bool touch(const Pixels& a, const Pixels& b) {
  for (const int64_t p : a)
    for (const int64_t q : b)
      if (std::abs(p % kWidth - q % kWidth) <= 1 && std::abs(p / kWidth - q / kWidth) <= 1)
        return true;
  return false;
}

// Each merge joins two neighbours that are as similar as any.
void check_grouping(const SimilarityTerms& terms) {
  const Tensor picture = patches();
  const PixelBins bins = bin_pixels(picture);
  const Segmentation first = PixelGraph(picture, 0.8).segment(60, 8);
  REQUIRE(first.count > 8);
  std::vector<Pixels> regions(size_t(first.count));
  const auto labels = first.labels.to_vector<int32_t>();
  for (size_t p = 0; p < labels.size(); ++p) regions[size_t(labels[p])].insert(int64_t(p));

  const auto merges = group_regions(describe_regions(first, bins), terms);
  REQUIRE(int64_t(merges.size()) == first.count - 1);
  for (const Merge& merge : merges) {
    const Pixels a = regions[size_t(merge[0])], b = regions[size_t(merge[1])];
    REQUIRE((!a.empty() && !b.empty()));
    CHECK(touch(a, b));
    double most = 0;
    for (size_t i = 0; i < regions.size(); ++i)
      for (size_t j = i + 1; j < regions.size(); ++j)
        if (!regions[i].empty() && !regions[j].empty() && touch(regions[i], regions[j]))
          most = std::max(most, similarity(bins, terms, regions[i], regions[j]));
    CHECK(similarity(bins, terms, a, b) == doctest::Approx(most).epsilon(1e-5));
    Pixels joined = a;
    joined.insert(b.begin(), b.end());
    regions[size_t(merge[0])].clear(), regions[size_t(merge[1])].clear();
    regions.push_back(joined);
  }
}

}  // namespace

TEST_CASE("region grouping: Uijlings 2013, equations 1 and 2: colour histograms") {
  check_grouping({true, false, false, false});
}
TEST_CASE("region grouping: Uijlings 2013, equation 3: texture histograms") {
  check_grouping({false, true, false, false});
}
TEST_CASE("region grouping: Uijlings 2013, equation 4: sizes") {
  check_grouping({false, false, true, false});
}
TEST_CASE("region grouping: Uijlings 2013, equation 5: gaps") {
  check_grouping({false, false, false, true});
}
TEST_CASE("region grouping: Uijlings 2013, equation 6, algorithm 1: the most similar are joined") {
  check_grouping({});
  check_grouping({.color = false});
}

TEST_CASE("region grouping: equally similar pairs are joined from the lowest numbers on") {
  const Segmentation rows{Tensor::from(std::vector<int32_t>{0, 1, 2, 3}, {4, 1}), 4};
  const PixelBins bins = bin_pixels(Tensor::full({4, 1, 1}, 9));
  const auto merges =
      group_regions(describe_regions(rows, bins), {.color = true, .size = false, .fill = false});
  CHECK(merges == std::vector<Merge>{{0, 1}, {2, 3}, {4, 5}});
  const Segmentation one{Tensor::zeros({4, 1}, DType::kI32), 1};
  CHECK(group_regions(describe_regions(one, bins), {}).empty());
  CHECK_THROWS_AS(group_regions(describe_regions(one, bins), {false, false, false, false}), Error);
}

namespace {

// The texture bins of the pixel in the middle row and column x.
std::vector<int> texture_at(const PixelBins& bins, int64_t x) {
  const auto texture = bins.texture.to_vector<uint8_t>();
  const int64_t p = bins.texture.dim(0) / 2 * bins.texture.dim(1) + x;
  const auto first = texture.begin() + p * kOrientations;
  return {first, first + kOrientations};
}

}  // namespace

TEST_CASE("region features: bins of colours, and of gradients by direction") {
  // A ramp to the right, steeper from column 8 on.
  std::vector<float> ramp, down, both, step;
  for (int64_t i = 0; i < 3 * 16; ++i) {
    const int64_t x = i % 16;
    ramp.push_back(float(x < 8 ? 2 * x : 16 + 8 * (x - 8)));
  }
  const PixelBins bins = bin_pixels(Tensor::from(ramp, {3, 16, 1}));
  const auto color = bins.color.to_vector<uint8_t>();
  CHECK(color[0] == 0);
  CHECK(color[15] == 7);  // 72 of 256 in 25 bins
  CHECK(texture_at(bins, 12) == std::vector<int>{9, 7, 0, 0, 0, 0, 0, 7});
  CHECK(texture_at(bins, 3) == std::vector<int>{2, 1, 0, 0, 0, 0, 0, 1});  // a quarter
  for (int64_t i = 0; i < 30; ++i) down.push_back(float(i / 2 * 5));
  CHECK(texture_at(bin_pixels(Tensor::from(down, {15, 2, 1})), 1) ==
        std::vector<int>{0, 7, 9, 7, 0, 0, 0, 0});
  for (int64_t i = 0; i < 49; ++i) both.push_back(float(i % 7 + i / 7));
  CHECK(texture_at(bin_pixels(Tensor::from(both, {7, 7, 1})), 3) ==
        std::vector<int>{7, 9, 7, 0, 0, 0, 0, 0});
  // One pixel beside an edge the smoothed gradient is 0.46 times what it is at the edge: a Gaussian
  // at 1 and 2 over one at 0 and 1.
  for (int64_t i = 0; i < 3 * 32; ++i) step.push_back(i % 32 < 16 ? 0 : 100);
  CHECK(texture_at(bin_pixels(Tensor::from(step, {3, 32, 1})), 15)[0] == 9);
  CHECK(texture_at(bin_pixels(Tensor::from(step, {3, 32, 1})), 14)[0] == 4);
  const auto flat = bin_pixels(Tensor::full({2, 2, 1}, 255));
  CHECK(flat.color.to_vector<uint8_t>() == std::vector<uint8_t>(4, 24));
  CHECK(flat.texture.to_vector<uint8_t>() == std::vector<uint8_t>(32, 0));
}

TEST_CASE("region features: areas, bounds, neighbours, and histograms that sum to 1") {
  const Segmentation segmentation{
      Tensor::from(std::vector<int32_t>{0, 0, 1, 2, 0, 1, 2, 2, 3}, {3, 3}), 4};
  const Regions regions = describe_regions(segmentation, bin_pixels(Tensor::full({3, 3, 2}, 30)));
  CHECK(regions.picture_px == 9);
  CHECK(regions.area_px == std::vector<int64_t>{3, 2, 3, 1});
  const PixelBounds& b = regions.bounds[2];
  CHECK(std::vector<int64_t>{b.x0, b.y0, b.x1, b.y1} == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(regions.neighbors ==
        std::vector<std::vector<int32_t>>{{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}});
  for (const Tensor& histogram : {regions.color, regions.texture})
    for (int64_t row = 0; row < 4; ++row) {
      double sum = 0;
      for (const float share : histogram.rows(row, row + 1).to_vector<float>()) sum += share;
      CHECK(sum == doctest::Approx(1));
    }
}
