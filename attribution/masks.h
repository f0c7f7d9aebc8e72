// Small kernels on masks (H, W). Results are new tensors; throws Error for shapes that do not fit.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

// K maps (H, W) f32 as one tensor (H, W, K).
Tensor stack_maps(const std::vector<Tensor>& maps);
// 1 where channel k of (H, W, K) is above / below the threshold: (H, W) u8.
Tensor above(const Tensor& stacked, int64_t k, double threshold);
Tensor below(const Tensor& stacked, int64_t k, double threshold);
// A copy of a map (H, W) f32 that is 1 where the mask (H, W) u8 is.
Tensor one_inside(const Tensor& map, const Tensor& mask);
// a and not b: (H, W) u8.
Tensor without(const Tensor& a, const Tensor& b);
int64_t count_ones(const Tensor& mask);

// The places [begin, end) of an order.
struct RankRange {
  int64_t begin = 0, end = 0;
};
// K masks (K, H, W, 1) f32, one per range: 1 at the pixels whose rank lies in it, else 0. ranks:
// (H, W) i64.
Tensor ranked_masks(const Tensor& ranks, const std::vector<RankRange>& ranges);

}  // namespace bbam
