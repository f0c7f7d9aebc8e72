// Mask proposals of one picture, wherever they come from: each is a union of superpixels, so that
// what many of them have in common with a mask is counted from few numbers.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

struct RegionProposals {
  Tensor superpixels;                         // (H, W) i32 on the CPU, from 0
  std::vector<std::vector<int32_t>> regions;  // each proposal's superpixels, each once; best first
};

// For each proposal the number of its pixels that are set in mask: (H, W) u8 on the CPU, any value
// but 0. Without a mask, its area. Throws Error for other shapes and superpixels that are not
// there.
std::vector<int64_t> pixels_inside(const RegionProposals& proposals, const Tensor& mask = {});

// (H, W) u8: 1 in any of the proposals `chosen`, which are numbers of regions.
Tensor union_of(const RegionProposals& proposals, const std::vector<int64_t>& chosen);

}  // namespace bbam
