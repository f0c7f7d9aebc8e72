#include "attribution/refine.h"

#include <algorithm>

#include "attribution/masks.h"

namespace bbam {
namespace {

Tensor box_mask(const BoxArray& box, int64_t height, int64_t width) {
  const PixelRect rect = pixel_rect(box, height, width);
  std::vector<uint8_t> inside(size_t(height * width), 0);
  for (int64_t y = rect.y0; y < rect.y1; ++y)
    std::fill_n(inside.begin() + y * width + rect.x0, rect.x1 - rect.x0, uint8_t(1));
  return Tensor::from(inside, {height, width});
}

int64_t count_set(const Tensor& mask) {
  const std::vector<uint8_t> values = mask.to_vector<uint8_t>();
  return mask.size() - std::count(values.begin(), values.end(), 0);
}

Tensor either_of(const Tensor& a, const Tensor& b) {
  std::vector<uint8_t> set = a.to_vector<uint8_t>();
  const std::vector<uint8_t> added = b.to_vector<uint8_t>();
  for (size_t p = 0; p < set.size(); ++p) set[p] = set[p] != 0 || added[p] != 0;
  return Tensor::from(set, a.shape(), a.device());
}

void check_spec(const RefineSpec& spec) {
  for (const double share : {spec.share_in_mask, spec.share_in_box})
    check(share >= 0 && share <= 1, "refine_mask: share ", share, "; expected 0 to 1");
}

// S without its best: proposals inside T.
std::vector<int64_t> contained(const std::vector<int64_t>& area, const std::vector<int64_t>& common,
                               double share) {
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < area.size(); ++i)
    if (common[i] > 0 && double(common[i]) >= share * double(area[i]))
      numbers.push_back(int64_t(i));
  return numbers;
}

}  // namespace

RefinedMask refine_mask(const RegionProposals& proposals, const Tensor& mask, const BoxArray& box,
                        const RefineSpec& spec) {
  check_spec(spec);
  const int64_t height = proposals.superpixels.dim(0), width = proposals.superpixels.dim(1);
  check_shape(mask, {height, width}, "refine_mask: mask");
  RefinedMask refined{mask, {}, -1, 0};
  if (area(as_box(box)) < spec.least_box_px) return refined;

  const Tensor on_host = mask.to(kCpu), inside_box = box_mask(box, height, width);
  const int64_t mask_px = count_set(on_host);
  const std::vector<int64_t> areas = pixels_inside(proposals);
  const std::vector<int64_t> common = pixels_inside(proposals, on_host);
  const std::vector<int64_t> in_box = pixels_inside(proposals, inside_box);
  for (size_t i = 0; i < areas.size(); ++i) {
    if (double(in_box[i]) < spec.share_in_box * double(areas[i])) continue;
    const double overlap = double(common[i]) / double(areas[i] + mask_px - common[i]);
    if (!(overlap > refined.best_iou)) continue;
    refined.best = int64_t(i), refined.best_iou = overlap;
  }
  if (refined.best < 0) return refined;
  refined.chosen = contained(areas, common, spec.share_in_mask);
  const auto place = std::lower_bound(refined.chosen.begin(), refined.chosen.end(), refined.best);
  if (place == refined.chosen.end() || *place != refined.best)
    refined.chosen.insert(place, refined.best);
  Tensor united = union_of(proposals, refined.chosen);
  if (spec.cut_to_box) united = without(united, without(united, inside_box));
  refined.mask = united.to(mask.device());
  return refined;
}

ObjectLabel refine_label(const RegionProposals& proposals, const ObjectLabel& label,
                         const BoxArray& box, const RefineSpec& spec) {
  check_same(label.foreground, label.ignore, "refine_label: foreground and ignore");
  ObjectLabel refined = label;
  refined.foreground = refine_mask(proposals, label.foreground, box, spec).mask;
  const Tensor both = either_of(label.foreground, label.ignore);
  refined.ignore = without(refine_mask(proposals, both, box, spec).mask, refined.foreground);
  return refined;
}

}  // namespace bbam
