#include "attribution/masks.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

struct PlaceChannel {
  const float* x;
  float* y;
  int64_t channels, k;
  HD void operator()(int64_t i) const { y[i * channels + k] = x[i]; }
};

// sign +1: above; -1: below.
struct Threshold {
  const float* x;
  uint8_t* y;
  int64_t channels, k;
  float threshold, sign;
  HD void operator()(int64_t i) const {
    y[i] = uint8_t(sign * (x[i * channels + k] - threshold) > 0.f);
  }
};

struct OneInside {
  const float* x;
  const uint8_t* mask;
  float* y;
  HD void operator()(int64_t i) const { y[i] = mask[i] ? 1.f : x[i]; }
};

struct Without {
  const uint8_t *a, *b;
  uint8_t* y;
  HD void operator()(int64_t i) const { y[i] = uint8_t(a[i] && !b[i]); }
};

struct InRange {
  const int64_t* ranks;
  float* y;
  RankRange range;
  HD void operator()(int64_t i) const {
    y[i] = ranks[i] >= range.begin && ranks[i] < range.end ? 1.f : 0.f;
  }
};

Tensor compare(const Tensor& stacked, int64_t k, double threshold, float sign) {
  check_shape(stacked, {-1, -1, -1}, "stacked maps");
  check(k >= 0 && k < stacked.dim(2), "map ", k, " of ", stacked);
  Tensor mask = Tensor::empty({stacked.dim(0), stacked.dim(1)}, DType::kU8, stacked.device());
  parallel_for("threshold", mask.stream(), mask.size(),
               Threshold{stacked.data<float>(), mask.mutable_data<uint8_t>(), stacked.dim(2), k,
                         float(threshold), sign});
  return mask;
}

}  // namespace

Tensor stack_maps(const std::vector<Tensor>& maps) {
  check(!maps.empty(), "stack_maps of no maps");
  const auto count = int64_t(maps.size());
  Tensor stacked =
      Tensor::empty({maps[0].dim(0), maps[0].dim(1), count}, DType::kF32, maps[0].device());
  for (int64_t k = 0; k < count; ++k) {
    check_same(maps[size_t(k)], maps[0], "stack_maps");
    parallel_for(
        "stack_maps", stacked.stream(), maps[0].size(),
        PlaceChannel{maps[size_t(k)].data<float>(), stacked.mutable_data<float>(), count, k});
  }
  return stacked;
}

Tensor above(const Tensor& stacked, int64_t k, double threshold) {
  return compare(stacked, k, threshold, 1);
}
Tensor below(const Tensor& stacked, int64_t k, double threshold) {
  return compare(stacked, k, threshold, -1);
}

Tensor one_inside(const Tensor& map, const Tensor& mask) {
  check_shape(mask, {map.dim(0), map.dim(1)}, "one_inside: mask");
  Tensor y = Tensor::empty_like(map);
  parallel_for("one_inside", y.stream(), y.size(),
               OneInside{map.data<float>(), mask.data<uint8_t>(), y.mutable_data<float>()});
  return y;
}

Tensor without(const Tensor& a, const Tensor& b) {
  check_same(a, b, "without");
  Tensor y = Tensor::empty_like(a);
  parallel_for("without", y.stream(), y.size(),
               Without{a.data<uint8_t>(), b.data<uint8_t>(), y.mutable_data<uint8_t>()});
  return y;
}

int64_t count_ones(const Tensor& mask) {
  int64_t count = 0;
  for (const uint8_t value : mask.to(kCpu).to_vector<uint8_t>()) count += value;
  return count;
}

Tensor ranked_masks(const Tensor& ranks, const std::vector<RankRange>& ranges) {
  check_shape(ranks, {-1, -1}, "ranked_masks: ranks");
  Tensor masks = Tensor::empty({int64_t(ranges.size()), ranks.dim(0), ranks.dim(1), 1}, DType::kF32,
                               ranks.device());
  for (size_t k = 0; k < ranges.size(); ++k) {
    float* mask = masks.mutable_data<float>() + int64_t(k) * ranks.size();
    parallel_for("ranked_masks", ranks.stream(), ranks.size(),
                 InRange{ranks.data<int64_t>(), mask, ranges[k]}, 0, 12 * ranks.size());
  }
  return masks;
}

}  // namespace bbam
