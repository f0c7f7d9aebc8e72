#include "segmenters/region_grouping.h"

#include <algorithm>
#include <queue>
#include <tuple>

namespace bbam {
namespace {

struct Pair {
  float similarity;
  int32_t a, b;                              // a < b
  bool operator<(const Pair& other) const {  // the greatest is taken first
    return std::tie(similarity, other.a, other.b) < std::tie(other.similarity, a, b);
  }
};

PixelBounds around(const PixelBounds& a, const PixelBounds& b) {
  return {std::min(a.x0, b.x0), std::min(a.y0, b.y0), std::max(a.x1, b.x1), std::max(a.y1, b.y1)};
}

// Histograms of the first regions, with room for those that merges make.
class Histograms {
 public:
  Histograms(const Tensor& first, size_t regions)
      : bins_(first.dim(1)), values_(first.to_vector<float>()) {
    values_.resize(regions * size_t(bins_));
  }
  float intersection(int32_t a, int32_t b) const {
    const float *x = row(a), *y = row(b);
    float sum = 0;
    for (int64_t k = 0; k < bins_; ++k) sum += std::min(x[k], y[k]);
    return sum;
  }
  // Equation 2: that of the union, from the parts' and their sizes.
  void merge(int32_t a, int32_t b, float area_a, float area_b, int32_t into) {
    const float share_a = area_a / (area_a + area_b), share_b = area_b / (area_a + area_b);
    const float *x = row(a), *y = row(b);
    float* z = values_.data() + into * bins_;
    for (int64_t k = 0; k < bins_; ++k) z[k] = share_a * x[k] + share_b * y[k];
  }

 private:
  const float* row(int32_t region) const { return values_.data() + region * bins_; }

  int64_t bins_;
  std::vector<float> values_;
};

class Grouping {
 public:
  Grouping(const Regions& regions, const SimilarityTerms& terms)
      : terms_(terms), picture_px_(float(regions.picture_px)), area_(regions.area_px),
        bounds_(regions.bounds), neighbors_(regions.neighbors),
        color_(regions.color, 2 * area_.size()), texture_(regions.texture, 2 * area_.size()),
        is_merged_(area_.size(), false) {
    for (size_t a = 0; a < neighbors_.size(); ++a)
      for (const int32_t b : neighbors_[a])
        if (int32_t(a) < b) queue_.push({similarity(int32_t(a), b), int32_t(a), b});
  }

  std::vector<Merge> run() {
    std::vector<Merge> merges;
    while (!queue_.empty()) {
      const Pair best = queue_.top();
      queue_.pop();
      if (is_merged_[size_t(best.a)] || is_merged_[size_t(best.b)]) continue;
      merges.push_back({best.a, best.b});
      merge(best.a, best.b);
    }
    return merges;
  }

 private:
  float similarity(int32_t a, int32_t b) const {
    const auto both = float(area_[size_t(a)] + area_[size_t(b)]);
    float sum = 0;
    if (terms_.color) sum += color_.intersection(a, b);
    if (terms_.texture) sum += texture_.intersection(a, b);
    if (terms_.size) sum += 1 - both / picture_px_;
    if (terms_.fill) {
      const auto box = float(around(bounds_[size_t(a)], bounds_[size_t(b)]).area());
      sum += 1 - (box - both) / picture_px_;
    }
    return sum;
  }

  void merge(int32_t a, int32_t b) {
    const auto joined = int32_t(area_.size());
    const auto area_a = float(area_[size_t(a)]), area_b = float(area_[size_t(b)]);
    color_.merge(a, b, area_a, area_b, joined);
    texture_.merge(a, b, area_a, area_b, joined);
    area_.push_back(area_[size_t(a)] + area_[size_t(b)]);
    bounds_.push_back(around(bounds_[size_t(a)], bounds_[size_t(b)]));
    is_merged_[size_t(a)] = is_merged_[size_t(b)] = true;
    is_merged_.push_back(false);

    std::vector<int32_t> around_both;
    for (const int32_t part : {a, b})
      for (const int32_t n : neighbors_[size_t(part)])
        if (!is_merged_[size_t(n)]) around_both.push_back(n);
    std::sort(around_both.begin(), around_both.end());
    around_both.erase(std::unique(around_both.begin(), around_both.end()), around_both.end());
    for (const int32_t n : around_both) {
      neighbors_[size_t(n)].push_back(joined);
      queue_.push({similarity(n, joined), n, joined});
    }
    neighbors_.push_back(std::move(around_both));
  }

  SimilarityTerms terms_;
  float picture_px_;
  std::vector<int64_t> area_;
  std::vector<PixelBounds> bounds_;
  std::vector<std::vector<int32_t>> neighbors_;  // of regions that are left; others may be named
  Histograms color_, texture_;
  std::vector<bool> is_merged_;
  std::priority_queue<Pair> queue_;  // pairs of regions that are gone are passed over
};

}  // namespace

std::vector<Merge> group_regions(const Regions& regions, const SimilarityTerms& terms) {
  check(terms.color || terms.texture || terms.size || terms.fill,
        "group_regions: a similarity without any term");
  return Grouping(regions, terms).run();
}

}  // namespace bbam
