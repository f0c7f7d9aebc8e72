// How well a map says which pixels the detector's answer rests on, for any map of any method.
//
// Maps are (H, W) f32, as large as the network's input; only the order of their values counts.
// Pixels are taken from the greatest value down, equal ones by their index, NaN last.
#pragma once
#include <vector>

#include "attribution/positives.h"

namespace bbam {

struct FaithfulnessSpec {
  int steps = 50;  // n; after step i, ⌊i H W / n⌋ pixels have been taken
  int batch = 4;   // steps that the detector sees at once
};

// The heads' answers on the way, averaged over the object's proposals: n + 1 values each, the first
// before any pixel is taken. An area is that under the curve over the share of pixels taken, by
// trapezia: in [0, 1].
struct FaithfulnessCurve {
  std::vector<double> probability;  // p^c
  std::vector<double> iou;          // of the regressed box with the object's box
  double probability_area = 0, iou_area = 0;
};

// The causal metrics of RISE [Petsiuk et al., BMVC 2018], of both heads.
// Deletion: the pixels are taken out of the image, which leaves its mean colour (METHOD A2: 0 in a
// mean-subtracted image); of a good map the area is small. Insertion: they are brought back into an
// image of that colour (where the paper begins with a blurred one); of a good map it is large.
// image: (1, H, W, 3), f32 or f64. Errors: shapes that do not fit, no proposals, a label that the
// detector does not know, options below 1.
FaithfulnessCurve deletion_curve(ExplainedDetector& detector, const Tensor& image,
                                 const Tensor& map, const ObjectProposals& object,
                                 const FaithfulnessSpec& spec = {});
FaithfulnessCurve insertion_curve(ExplainedDetector& detector, const Tensor& image,
                                  const Tensor& map, const ObjectProposals& object,
                                  const FaithfulnessSpec& spec = {});

// The pointing game [Zhang et al., IJCV 2018]: whether the map's greatest value, the
// first of equal ones, lies at most `tolerance_px` from a pixel of the object's mask, (H, W) u8, or
// from its box, distances being taken from pixel centres. A constant map points at nothing.
bool points_at(const Tensor& map, const Tensor& mask, double tolerance_px = 15);
bool points_at(const Tensor& map, const BoxArray& box, double tolerance_px = 15);

}  // namespace bbam
