// From the region proposal network's answers to the boxes that the second stage looks at
// [Ren 2015, section 3.3; per level and over all levels as in Detectron].
#pragma once
#include <vector>

#include "detectors/anchors.h"
#include "detectors/box_coder.h"

namespace bbam {

// Over which proposals the best total_top_n are chosen. kBatch is what Detectron does in training:
// a picture with weak proposals is left with few.
enum class TotalOver { kBatch, kImage };

struct ProposalSpec {
  int64_t pre_nms_top_n;   // per level and image: the best that enter NMS
  int64_t post_nms_top_n;  // per level and image: the best that leave it
  int64_t total_top_n;     // over all levels
  TotalOver total_over;
  double nms_iou = 0.7;
  double min_side_px = 0;  // smaller boxes are dropped before NMS; 0 keeps all
};
inline constexpr ProposalSpec kTrainProposals{2000, 2000, 2000, TotalOver::kBatch};  // METHOD B1
inline constexpr ProposalSpec kTestProposals{1000, 1000, 1000, TotalOver::kImage};   // METHOD B1

struct Proposals {
  Tensor boxes;   // (P, 4) f32, inside the picture
  Tensor scores;  // (P) f32, objectness logits
};

// One level of one image, best first, at most post_nms_top_n. scores: (K) logits, deltas: (K, 4),
// anchors: (K, 4), all on one device.
Proposals propose_on_level(const Tensor& scores, const Tensor& deltas, const Tensor& anchors,
                           FrameSize frame, const ProposalSpec& spec, bool legacy_plus_one);

// Reduces what the levels gave, one entry per image, to total_top_n: best first under kImage, in
// the order given under kBatch. Ties go to the earlier.
std::vector<Proposals> keep_best(const std::vector<Proposals>& proposals, const ProposalSpec& spec);

// Joins boxes and scores of the parts.
Proposals concat_proposals(const std::vector<Proposals>& parts);

}  // namespace bbam
