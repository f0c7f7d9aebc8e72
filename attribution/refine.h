// Refinement of masks with mask proposals m_1 ... m_K [BBAM, section 3.3, equation 4; METHOD A9]:
//   T_r = union of m_i over i in S,  S = {i | m_i ⊂ T} + {argmax over i of IoU(m_i, T)}
#pragma once
#include <vector>

#include "attribution/pseudo_label.h"
#include "segmenters/region_proposals.h"

namespace bbam {

struct RefineSpec {
  // m_i ⊂ T where at least this share of the proposal's pixels lies inside T.
  double share_in_mask = 1;
  // The argmax is over proposals with at least this share of their pixels inside the object's box.
  double share_in_box = 0;
  double least_box_px = 0;  // masks of boxes with less area than this are left as they are
  bool cut_to_box = false;  // whether T_r ends at the box

  static RefineSpec paper() { return {}; }
  // METHOD B4. DIFFERS from their program in three ways: IoU and shares count pixels, where it adds
  // up the pixels' row and column numbers by mistake; "at least 0.95" is "more than" there; and it
  // also leaves out proposals with a superpixel that lies wholly outside the box.
  static RefineSpec authors() {
    return {
        .share_in_mask = 0.95, .share_in_box = 0.95, .least_box_px = 32 * 32, .cut_to_box = true};
  }
};

struct RefinedMask {
  Tensor mask;                  // T_r (H, W) u8, 0 or 1, on T's device
  std::vector<int64_t> chosen;  // S, ascending; empty where T_r is T
  int64_t best = -1;            // the argmax, the first of equals; -1: none
  double best_iou = 0;
};

// T, `mask`: (H, W) u8, any value but 0 is set. Where no proposal (that the box admits) overlaps T,
// T_r is T. Throws Error for another shape than the proposals' and shares outside [0, 1].
RefinedMask refine_mask(const RegionProposals& proposals, const Tensor& mask, const BoxArray& box,
                        const RefineSpec& spec);

// Both masks of an object's label: the foreground, and it with the ignored band. What the second
// holds beyond the first stays ignored. The source stays the same.
ObjectLabel refine_label(const RegionProposals& proposals, const ObjectLabel& label,
                         const BoxArray& box, const RefineSpec& spec);

}  // namespace bbam
