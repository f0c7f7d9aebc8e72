#include "segmenters/selective_search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tensor/device.h"
#include "tensor/random.h"

using namespace bbam;

namespace {

constexpr int64_t kHeight = 60, kWidth = 80;

bool in_disc(int64_t x, int64_t y) { return (x - 30) * (x - 30) + (y - 32) * (y - 32) < 15 * 15; }

// A disc of two halves of different colours on a striped ground, with noise.
Tensor disc_picture() {
  RandomSequence random(2);
  std::vector<uint8_t> rgb;
  for (int64_t y = 0; y < kHeight; ++y)
    for (int64_t x = 0; x < kWidth; ++x) {
      const bool is_left = x < 30, is_stripe = y / 10 % 2 == 0;
      const int color[3]{in_disc(x, y) ? 200 : 40, is_left ? 90 : 110,
                         in_disc(x, y) ? 60 : (is_stripe ? 120 : 160)};
      for (const int value : color) rgb.push_back(uint8_t(value + int(random.below(12))));
    }
  return Tensor::from(rgb, {kHeight, kWidth, 3});
}

std::vector<uint8_t> mask_of(const RegionProposals& proposals, int64_t k) {
  return union_of(proposals, {k}).to_vector<uint8_t>();
}

bool is_connected(const std::vector<uint8_t>& mask) {
  std::vector<uint8_t> left = mask;
  std::vector<int64_t> next{std::find(left.begin(), left.end(), 1) - left.begin()};
  left[size_t(next[0])] = 0;
  while (!next.empty()) {
    const int64_t p = next.back();
    next.pop_back();
    for (int64_t y = p / kWidth - 1; y <= p / kWidth + 1; ++y)
      for (int64_t x = p % kWidth - 1; x <= p % kWidth + 1; ++x) {
        if (x < 0 || y < 0 || x >= kWidth || y >= kHeight || !left[size_t(y * kWidth + x)])
          continue;
        left[size_t(y * kWidth + x)] = 0;
        next.push_back(y * kWidth + x);
      }
  }
  return std::count(left.begin(), left.end(), 1) == 0;
}

}  // namespace

TEST_CASE("selective search: connected regions without repetitions, among them the object") {
  const RegionProposals proposals = selective_search(disc_picture(), {.most = 0}, 1);
  std::set<std::vector<uint8_t>> masks;
  double best = 0;
  for (int64_t k = 0; k < int64_t(proposals.regions.size()); ++k) {
    const auto mask = mask_of(proposals, k);
    CHECK(is_connected(mask));
    CHECK(masks.insert(mask).second);
    double common = 0, either = 0;
    for (int64_t p = 0; p < kHeight * kWidth; ++p) {
      const bool a = mask[size_t(p)] != 0, b = in_disc(p % kWidth, p / kWidth);
      common += a && b, either += a || b;
    }
    best = std::max(best, common / either);
  }
  CHECK(masks.count(std::vector<uint8_t>(kHeight * kWidth, 1)) == 1);  // the whole picture
  CHECK(best > 0.95);
}

TEST_CASE("selective search: Uijlings 2013, section 4: sorted by position times chance") {
  const Tensor rgb = disc_picture();
  const SelectiveSearchSpec spec{
      .spaces = {ColorSpace::kRgb}, .scales = {30}, .similarities = {{}}, .most = 0};
  const Tensor picture = to_color_space(rgb, ColorSpace::kRgb);
  const Segmentation first = PixelGraph(picture, spec.sigma_px).segment(30, 30);
  const auto labels = first.labels.to_vector<int32_t>();
  std::vector<std::vector<uint8_t>> masks(size_t(first.count),
                                          std::vector<uint8_t>(labels.size(), 0));
  for (size_t p = 0; p < labels.size(); ++p) masks[size_t(labels[p])][p] = 1;
  for (const Merge& merge : group_regions(describe_regions(first, bin_pixels(picture)), {})) {
    std::vector<uint8_t> joined = masks[size_t(merge[0])];
    for (size_t p = 0; p < joined.size(); ++p) joined[p] |= masks[size_t(merge[1])][p];
    masks.push_back(joined);
  }
  const Random random(7, 47);
  std::vector<std::pair<double, size_t>> order;
  for (size_t t = 0; t < masks.size(); ++t)
    order.push_back({random.uniform(t) * double(masks.size() - t), t});
  std::sort(order.begin(), order.end());

  const RegionProposals proposals = selective_search(rgb, spec, 7);
  REQUIRE(proposals.regions.size() == masks.size());
  CHECK(masks.size() > 5);
  for (size_t k = 0; k < masks.size(); ++k)
    CHECK(mask_of(proposals, int64_t(k)) == masks[order[k].second]);
}

TEST_CASE("selective search: the same for any number of threads; `most` keeps the first") {
  const Tensor rgb = disc_picture();
  const int before = threads();
  set_threads(1);
  const RegionProposals all = selective_search(rgb, {.most = 0}, 3);
  set_threads(2);
  const RegionProposals again = selective_search(rgb, {.most = 0}, 3);
  set_threads(before);
  CHECK(all.superpixels.to_vector<int32_t>() == again.superpixels.to_vector<int32_t>());
  CHECK(all.regions == again.regions);

  const RegionProposals first = selective_search(rgb, {.most = 10}, 3);
  REQUIRE(all.regions.size() > 10);
  CHECK(first.regions ==
        std::vector<std::vector<int32_t>>(all.regions.begin(), all.regions.begin() + 10));
  const RegionProposals other = selective_search(rgb, {.most = 0}, 4);
  CHECK(other.regions != all.regions);
  CHECK(std::set(other.regions.begin(), other.regions.end()) ==
        std::set(all.regions.begin(), all.regions.end()));
}

TEST_CASE("selective search: pictures of one pixel, one row, one colour; what cannot be done") {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 9}, {9, 1}, {5, 4}}) {
    const Tensor flat = Tensor::full({height, width, 3}, 90, DType::kU8);
    const RegionProposals proposals = selective_search(flat, {}, 1);
    CHECK(proposals.regions == std::vector<std::vector<int32_t>>{{0}});
    CHECK(proposals.superpixels.shape() == Shape{height, width});
  }
  const Tensor rgb = Tensor::zeros({4, 4, 3}, DType::kU8);
  CHECK_THROWS_AS(selective_search(Tensor::zeros({0, 4, 3}, DType::kU8), {}, 1), Error);
  CHECK_THROWS_AS(selective_search(Tensor::zeros({4, 4, 3}), {}, 1), Error);
  CHECK_THROWS_AS(selective_search(rgb, {.spaces = {}}, 1), Error);
  CHECK_THROWS_AS(selective_search(rgb, {.scales = {0}}, 1), Error);
  CHECK_THROWS_AS(selective_search(rgb, {.similarities = {{false, false, false, false}}}, 1),
                  Error);
  CHECK_THROWS_AS(selective_search(rgb, {.sigma_px = -1}, 1), Error);
  CHECK_THROWS_AS(selective_search(rgb, {.most = -1}, 1), Error);
}

TEST_CASE("region proposals: pixels inside a mask, and unions") {
  const RegionProposals proposals{Tensor::from(std::vector<int32_t>{0, 0, 2, 1, 1, 2}, {2, 3}),
                                  {{0}, {1, 2}, {}, {2}}};
  using Counts = std::vector<int64_t>;
  CHECK(pixels_inside(proposals) == Counts{2, 4, 0, 2});
  const Tensor mask = Tensor::from(std::vector<uint8_t>{1, 0, 255, 0, 1, 0}, {2, 3});
  CHECK(pixels_inside(proposals, mask) == Counts{1, 2, 0, 1});
  CHECK(union_of(proposals, {0, 3}).to_vector<uint8_t>() == std::vector<uint8_t>{1, 1, 1, 0, 0, 1});
  CHECK(union_of(proposals, {}).to_vector<uint8_t>() == std::vector<uint8_t>(6, 0));
  CHECK_THROWS_AS(union_of(proposals, {4}), Error);
  CHECK_THROWS_AS(pixels_inside(proposals, Tensor::zeros({3, 2}, DType::kU8)), Error);
  CHECK_THROWS_AS(pixels_inside({proposals.superpixels, {{3}}}), Error);
  CHECK_THROWS_AS(pixels_inside({Tensor::full({2, 2}, -1, DType::kI32), {}}), Error);
}
