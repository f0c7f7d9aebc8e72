#include "segmenters/region_proposals.h"

#include <algorithm>

namespace bbam {
namespace {

int64_t count_superpixels(const RegionProposals& proposals) {
  const Tensor& superpixels = proposals.superpixels;
  check_shape(superpixels, {-1, -1}, "region proposals: superpixels");
  check(superpixels.device().is_cpu(), "region proposals: superpixels are ", superpixels,
        "; expected them on the CPU");
  const int32_t* label = superpixels.data<int32_t>();
  int64_t count = 0;
  for (int64_t p = 0; p < superpixels.size(); ++p) {
    check(label[p] >= 0, "region proposals: superpixel ", label[p], "; expected 0 or more");
    count = std::max<int64_t>(count, label[p] + 1);
  }
  return count;
}

void check_region(const std::vector<int32_t>& region, int64_t superpixels) {
  for (const int32_t s : region)
    check(s >= 0 && s < superpixels, "region proposals: a proposal has superpixel ", s,
          "; expected 0 to ", superpixels - 1);
}

}  // namespace

std::vector<int64_t> pixels_inside(const RegionProposals& proposals, const Tensor& mask) {
  const Tensor& superpixels = proposals.superpixels;
  const int64_t count = count_superpixels(proposals);
  if (mask.defined())
    check_shape(mask, {superpixels.dim(0), superpixels.dim(1)}, "pixels_inside: mask");
  const int32_t* label = superpixels.data<int32_t>();
  const uint8_t* set = mask.defined() ? mask.data<uint8_t>() : nullptr;
  std::vector<int64_t> in_superpixel(size_t(count), 0), in_region;
  for (int64_t p = 0; p < superpixels.size(); ++p)
    in_superpixel[size_t(label[p])] += set == nullptr || set[p] != 0;
  for (const std::vector<int32_t>& region : proposals.regions) {
    check_region(region, count);
    int64_t pixels = 0;
    for (const int32_t s : region) pixels += in_superpixel[size_t(s)];
    in_region.push_back(pixels);
  }
  return in_region;
}

Tensor union_of(const RegionProposals& proposals, const std::vector<int64_t>& chosen) {
  const int64_t count = count_superpixels(proposals);
  std::vector<uint8_t> is_chosen(size_t(count), 0);
  for (const int64_t k : chosen) {
    check(k >= 0 && k < int64_t(proposals.regions.size()), "union_of: no proposal ", k, " among ",
          proposals.regions.size());
    check_region(proposals.regions[size_t(k)], count);
    for (const int32_t s : proposals.regions[size_t(k)]) is_chosen[size_t(s)] = 1;
  }
  Tensor mask = Tensor::empty(proposals.superpixels.shape(), DType::kU8);
  const int32_t* label = proposals.superpixels.data<int32_t>();
  uint8_t* y = mask.mutable_data<uint8_t>();
  for (int64_t p = 0; p < mask.size(); ++p) y[p] = is_chosen[size_t(label[p])];
  return mask;
}

}  // namespace bbam
