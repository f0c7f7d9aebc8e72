// Pseudo ground truth of the objects of one image from their attribution maps [BBAM, section 3.3;
// METHOD A7].
#pragma once
#include <vector>

#include "attribution/map_to_probability.h"
#include "segmenters/dense_crf.h"

namespace bbam {

// kPaper: the map, brought to [0, 1] inside its box, is refined by the CRF; above theta_fg is
// foreground, below theta_bg background, the rest is ignored.
// kAuthors: two maps per object, each divided by its value at a rank (theta_fg, theta_bg), blurred
// and refined; above `certainty` is inside. The first is the foreground; what only the second holds
// is ignored.
enum class LabelMethod { kPaper, kAuthors };

// How kPaper brings a map to [0, 1]; the paper does not say. λ‖M‖₁ keeps most values small, so that
// a map rescaled by its extremes (kMinMax) tells the CRF that nearly everything is background, and
// masks vanish (docs/results.md). kRank spreads the values evenly, as the authors' division by a
// rank does in its way.
enum class MapScale { kRank, kMinMax };

struct PseudoLabelOptions {
  LabelMethod method = LabelMethod::kPaper;
  double theta_fg = 0.8, theta_bg = 0.2;
  MapScale map_scale = MapScale::kRank;  // kPaper
  // The authors' blur is in pixels of VOC's photographs, whose long side is 500; others get it in
  // proportion. 0: the same pixels for all, as in the authors' program.
  double blur_reference_px = 500;
  double certainty = 0.9;  // kAuthors
  DenseCrfOptions crf = kPseudoLabelCrf;

  static PseudoLabelOptions paper() { return {}; }
  static PseudoLabelOptions authors() {
    return {.method = LabelMethod::kAuthors, .theta_fg = 0.85};
  }
};

struct MapOfObject {
  Tensor map;  // (h, w) f32 in [0, 1] on the image's device; undefined or all under 1/255, of which
               // the authors' 8 bits leave nothing: there is no map
  BoxArray box{};  // in pixels of the photograph
};

// Where a mask came from: its map, or one of the fallbacks of METHOD A7.
enum class LabelSource { kMap, kSmallMask, kNoMap };

struct ObjectLabel {
  Tensor foreground, ignore;  // (H, W) u8, 0 or 1, disjoint
  LabelSource source = LabelSource::kMap;
};

// image: (H, W, 3) u8, RGB. One label per object, in order. Without a map the box is filled with a
// probability of 0.7, 0.8, 0.9, 0.95 in turn until the refined mask covers more than 1/5 of the box
// (both methods; the paper is silent). kAuthors: a mask of less than 1/5 of a box that is under
// 1/10 of the image is replaced the same way, with 0.7 to 0.96 until more than 1/3 is covered.
// Where none covers enough, the mask is the last one's. Throws Error for another shape, and where
// not 0 <= theta_bg <= theta_fg <= 1 or the certainty lies outside [0, 1].
std::vector<ObjectLabel> pseudo_labels(const Tensor& image, const std::vector<MapOfObject>& objects,
                                       const PseudoLabelOptions& options);

// Masks (K of (H, W) u8): the probabilities (K of (H, W) f32), refined, above `threshold`.
std::vector<Tensor> refined_masks(const DenseCrf& crf, const std::vector<Tensor>& probabilities,
                                  double threshold);

// The authors' second attempt: a mask (H, W) u8 of less than 1/5 of a box that is under 1/10 of the
// image is replaced by the refined box, as said above, in which the mask's pixels stay certain; any
// other is returned as it is.
struct SecondAttempt {
  Tensor mask;
  bool from_box;
};
SecondAttempt or_filled_box(const DenseCrf& crf, const Tensor& mask, const PixelRect& box,
                            double certainty);

}  // namespace bbam
