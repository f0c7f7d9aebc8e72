// The proposals that speak for an object [BBAM, section 3.3; METHOD A5].
#pragma once
#include <vector>

#include "attribution/explained_detector.h"

namespace bbam {

struct PositiveSpec {
  int64_t proposals = 1000;  // at most, where the detector has regions of its own
  double jitter = 0.3;       // of the box's width or height, for each of the four sides
  // A proposal is positive when its most likely class is the object's and its regressed box
  // overlaps the object's box by more than a threshold. The thresholds are tried in turn until one
  // leaves more than `enough`; the last is taken as it is. The paper has 0.8 alone.
  std::vector<double> iou_thresholds{0.8};
  int64_t enough = 100;
  int64_t most = 100;           // the first so many are kept; 0: all
  bool truncate_boxes = false;  // the authors compare both boxes truncated to whole pixels
};

// Copies of the box, each side moved uniformly within ± jitter of the box's extent and clipped to
// the image: (spec.proposals, 4) f32. Sides that the jitter has swapped are put right.
Tensor jittered_proposals(const BoxArray& box, int64_t height, int64_t width,
                          const PositiveSpec& spec, uint64_t seed);

struct Positives {
  Tensor proposals;          // (P, 4) O⁺; P may be 0
  Tensor regressed;          // (P, 4) where each of them puts the object
  Tensor probabilities;      // (P) p^c on the unperturbed image: the targets of METHOD A6
  Tensor offsets;            // (P, 4) t^c on the unperturbed image
  double iou_threshold = 0;  // the one that was used
  double mean_iou = 0;       // of the regressed boxes with the object's box
};

// `predictions` are those of the unperturbed image (height x width) for `proposals` (R, 4). Throws
// Error for a label that the detector does not know. The results lie on the CPU, f32.
Positives select_positives(const ExplainedDetector& detector, const BoxPredictions& predictions,
                           const Tensor& proposals, const BoxArray& box, int64_t label,
                           int64_t height, int64_t width, const PositiveSpec& spec);

// O⁺ of an object of the unperturbed image (1, H, W, 3), on the detector's device: its jittered
// proposals, of which those are selected that the detector answers well.
Positives find_positives(ExplainedDetector& detector, const Tensor& image, const BoxArray& box,
                         int64_t label, const PositiveSpec& spec, uint64_t seed);

// An object and the proposals by which the heads are asked about it: its box alone, or O⁺.
struct ObjectProposals {
  BoxArray box{};
  int64_t label = 0;  // 1 to C
  Tensor proposals;   // (P, 4) f32 on the CPU

  static ObjectProposals of_box(const BoxArray& box, int64_t label);
  // (K P, 5) for the same proposals on each of K images.
  Tensor rois(int64_t images, Device device) const;
};

}  // namespace bbam
