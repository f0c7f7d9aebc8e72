#include "detectors/matcher.h"

#include <algorithm>
#include <vector>

namespace bbam {
namespace {

struct Best {
  std::vector<int64_t> box;
  std::vector<float> iou;
};

// Of each candidate, the box that it overlaps most.
Best best_box_of_each_candidate(const float* iou, int64_t boxes, int64_t candidates) {
  Best best{std::vector<int64_t>(size_t(candidates), 0), std::vector<float>(size_t(candidates), 0)};
  for (int64_t g = 0; g < boxes; ++g)
    for (int64_t a = 0; a < candidates; ++a) {
      const float value = iou[g * candidates + a];
      if (g > 0 && !(value > best.iou[size_t(a)])) continue;
      best.box[size_t(a)] = g;
      best.iou[size_t(a)] = value;
    }
  return best;
}

}  // namespace

Tensor match(const Tensor& iou, const MatcherSpec& spec) {
  check_shape(iou, {-1, -1}, "match: iou");
  check(spec.background_iou <= spec.foreground_iou, "match: background_iou ", spec.background_iou,
        " is above foreground_iou ", spec.foreground_iou);
  const int64_t boxes = iou.dim(0), candidates = iou.dim(1);
  if (boxes == 0) return Tensor::full({candidates}, double(kMatchedBackground), DType::kI64);

  const Tensor on_host = iou.to(kCpu);
  const float* values = on_host.data<float>();
  const Best best = best_box_of_each_candidate(values, boxes, candidates);
  const auto foreground = float(spec.foreground_iou), background = float(spec.background_iou);
  std::vector<int64_t> matched(best.box);
  for (size_t a = 0; a < matched.size(); ++a)
    if (best.iou[a] < foreground)
      matched[a] = best.iou[a] < background ? kMatchedBackground : kMatchedNothing;

  for (int64_t g = 0; spec.low_quality_matches && candidates > 0 && g < boxes; ++g) {
    const float* row = values + g * candidates;
    const float highest = *std::max_element(row, row + candidates);
    for (int64_t a = 0; highest > 0 && a < candidates; ++a)
      if (row[a] == highest) matched[size_t(a)] = best.box[size_t(a)];
  }
  return Tensor::from(matched);
}

}  // namespace bbam
