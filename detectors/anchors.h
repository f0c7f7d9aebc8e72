// Anchors: the boxes that the region proposal network starts from, A per cell of each feature level
// [Ren 2015, section 3.1.1; one size per level as in Lin 2017, FPN, section 4.1; several, within an
// octave, as in Lin 2017, Focal Loss, section 4].
#pragma once
#include <vector>

#include "detectors/boxes.h"

namespace bbam {

// kLegacy: Detectron's generator. A square of one stride, at the cell's corner, is given each ratio
// with sides rounded to whole pixels, then scaled; so anchors are centred in their cell.
// kCentred: torchvision's. Exact sides, centred on the cell's corner, corners rounded, ties to
// even; sizes of other scales than 1 are cut to whole pixels first.
enum class AnchorStyle { kLegacy, kCentred };

struct AnchorSpec {
  std::vector<double> sizes_px{32, 64, 128, 256, 512};  // square root of the area, one per level
  std::vector<int64_t> strides_px{4, 8, 16, 32, 64};    // one per level
  std::vector<double> ratios{0.5, 1, 2};                // height / width
  std::vector<double> scales{1};                        // each size comes in each of them
  AnchorStyle style = AnchorStyle::kLegacy;

  int64_t levels() const { return int64_t(sizes_px.size()); }
  int64_t per_cell() const { return int64_t(ratios.size() * scales.size()); }
};

// Throws Error unless sizes and strides go together and everything is positive.
void check_anchors(const AnchorSpec& spec);

// (A, 4) f32: the anchors of the cell in row 0, column 0, by ratio, then scale.
Tensor cell_anchors(const AnchorSpec& spec, int64_t level);

// (height * width * A, 4) f32 on the CPU, in the order in which an NHWC head answers: rows,
// columns, ratios, scales.
Tensor grid_anchors(const AnchorSpec& spec, int64_t level, int64_t height, int64_t width);

// Where an anchor stands: level, cell, and which of the cell's anchors it is.
struct AnchorPlace {
  int64_t level, row, column, kind;
};

// The way back from grid_anchors, for boxes (R, 4) f32 on any device, exactly the values that it
// gave, and levels of `features`, (N, H, W, C) each. Throws Error for a box that is no anchor.
std::vector<AnchorPlace> anchor_places(const AnchorSpec& spec, const std::vector<Shape>& features,
                                       const Tensor& boxes);

// (R) u8: 1 where the anchor leaves the picture by at most `straddle_px`. Under legacy_plus_one the
// last pixel must lie before the edge, else the end of the box must not lie behind it; of anchors
// in whole pixels both say the same.
Tensor inside_frame(const Tensor& anchors, FrameSize frame, double straddle_px,
                    bool legacy_plus_one);

}  // namespace bbam
