// Selective Search [Uijlings 2013]: mask proposals without training, from hierarchies of regions
// over several segmentations, colour spaces and similarities.
#pragma once
#include <vector>

#include "segmenters/color_spaces.h"
#include "segmenters/region_grouping.h"
#include "segmenters/region_proposals.h"

namespace bbam {

// Every combination of a colour space, a scale and a similarity is a hierarchy of its own. By
// default the paper's "fast" choice with a third scale.
struct SelectiveSearchSpec {
  std::vector<ColorSpace> spaces{ColorSpace::kHsv, ColorSpace::kLab};
  // k of the first segmentation, whose parts have at least k pixels (k rounded down).
  std::vector<double> scales{50, 100, 200};
  std::vector<SimilarityTerms> similarities{{}, {.color = false}};
  double sigma_px = 0.8;  // of the smoothing before the first segmentation
  int64_t most = 2000;    // the first so many are kept; 0: all
};

// rgb: (H, W, 3) u8 on the CPU. The proposals are the regions of all hierarchies without
// repetitions, sorted as in section 4: by the position in the hierarchy, counted from its top,
// times a random number in [0, 1). Superpixels are the parts into which the first segmentations
// together cut the picture. The same for any number of threads. Throws Error for another shape, an
// empty picture and options out of range.
RegionProposals selective_search(const Tensor& rgb, const SelectiveSearchSpec& spec, uint64_t seed);

}  // namespace bbam
