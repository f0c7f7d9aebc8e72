// Which ground-truth box an anchor or proposal answers for [Ren 2015, section 3.1.2].
#pragma once
#include "tensor/tensor.h"

namespace bbam {

inline constexpr int64_t kMatchedBackground = -1;  // IoU below background_iou with every box
inline constexpr int64_t kMatchedNothing = -2;     // between the thresholds: not trained on

struct MatcherSpec {
  double foreground_iou = 0.7;  // at least this: matched to the best box
  double background_iou = 0.3;  // less than this: background
  // Also match, to its own best box, every candidate that no other exceeds for some box.
  bool low_quality_matches = true;
};
inline constexpr MatcherSpec kRpnMatcher{};                 // METHOD B1
inline constexpr MatcherSpec kRoiMatcher{0.5, 0.5, false};  // METHOD B1

// (A) i64 on the CPU from iou: (G, A) f32 on any device, of G boxes with A candidates: the index of
// the matched box, or one of the two constants. Ties go to the first box. Without boxes all is
// background.
// DIFFERS from the older programs: a box that overlaps no candidate at all makes no low-quality
// match, where they match it with every candidate of IoU 0.
Tensor match(const Tensor& iou, const MatcherSpec& spec);

}  // namespace bbam
