// Run-length masks as COCO stores them, and the geometry that COCO's tools do on them.
//
// A mask of H rows and W columns is read column by column (top to bottom, then left to right) and
// written as the lengths of its runs: clear pixels first (that run may be 0 long), then set, clear
// and so on. Every Rle made here is canonical: no other run is 0 long, and the runs fill H x W
// exactly, so equal masks have equal counts. Two forms are read and written: the plain list of
// counts, and COCO's "compressed" text (see rle_from_string).
//
// All functions run on the host, are exact, and throw Error with what was found and what was
// expected; they may be called from any thread.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

struct Rle {
  int64_t height = 0, width = 0;
  std::vector<uint32_t> counts;
  bool operator==(const Rle&) const = default;
};

// mask: (H, W) u8 on the CPU; any value but 0 is set. Decoding gives 0 and 1.
Rle rle_encode(const Tensor& mask);
Tensor rle_decode(const Rle& rle);

// Runs of length 0 are joined away; a negative run, or a sum other than height x width, is an
// Error. Masks have at least one pixel and fewer than 2^31.
Rle rle_from_counts(std::span<const int64_t> counts, int64_t height, int64_t width);

// COCO's text form: each count, from the fourth on less the count two places before, as groups of
// five bits, least first; a sixth bit says that more groups follow; each group is written as the
// character '0' + group, so that texts consist of '0' to 'o'. The last group's fifth bit is the
// sign. Any other character, a text cut short and counts as above are Errors.
Rle rle_from_string(std::string_view text, int64_t height, int64_t width);
std::string rle_to_string(const Rle& rle);

// The pixels inside a closed polygon x0, y0, x1, y1, ... (pixels, (0, 0) the outer corner of the
// first pixel), by COCO's rule: vertices are rounded to a grid five times as fine, the outline is
// walked on it, and it is cut at the middle of each pixel column; the even-odd rule fills between
// the cuts. Parts outside the image are cut off. Needs three vertices, finite and within 10^6.
Rle rle_from_polygon(std::span<const double> xy_px, int64_t height, int64_t width);
// The rectangle [x0, x1) x [y0, y1) as such a polygon.
Rle rle_from_box(double x0_px, double y0_px, double x1_px, double y1_px, int64_t height,
                 int64_t width);

enum class RleMerge { kUnion, kIntersection };
// One mask out of one or more of the same size.
Rle rle_merge(std::span<const Rle> masks, RleMerge how);

int64_t rle_area(const Rle& rle);  // pixels set
// x0, y0, x1, y1 of the set pixels, half-open; all 0 where none is set.
std::array<int64_t, 4> rle_bounds(const Rle& rle);

int64_t rle_intersection(const Rle& a, const Rle& b);  // pixels set in both
// (detections x ground truths), row-major: the area of the intersection over that of the union,
// or over the detection's own area where the ground truth is a crowd; 0 where nothing is common.
// crowd is as long as ground_truths, or empty for none.
std::vector<double> rle_iou(std::span<const Rle> detections, std::span<const Rle> ground_truths,
                            std::span<const uint8_t> crowd = {});

}  // namespace bbam
