// Where on its object an attribution map is high: the paper's comparison of the two heads, whose
// maps are solved with 1_box or 1_cls alone (ObjectiveSpec), and of gradient-based methods [BBAM,
// section 5, figure 6; METHOD A13].
//
// Pixels are written as their index y W + x in a map of H x W; their places are those of their
// indices, (x, y), with y downward. Everything runs on the host.
#pragma once
#include <vector>

#include "attribution/positives.h"

namespace bbam {

inline constexpr double kHighValue = 0.9;  // section 5

// The pixels, ascending, of a map (H, W) f32 that are above the threshold once the map is rescaled
// to [0, 1] by its extremes (the paper does not say how its maps are brought to 0.9). A constant
// map has none. Throws Error for values that are not finite.
std::vector<int64_t> high_pixels(const Tensor& map, double threshold = kHighValue);

// C: the pixels of a mask (H, W) u8 with one of their 4 neighbours outside it, as is all that lies
// beyond the image: (H, W) u8 on the CPU.
Tensor contour_of(const Tensor& mask);

// A pixel x as the object's centroid x_c and its contour C see it.
struct RelativePosition {
  double r1_px = 0;     // |x − x_c|
  double r2_px = 0;     // min over c in C of |x − c|
  double theta = 0;     // angle of x − x_c from the x axis, radians; 0 at the centroid
  double x = 0, y = 0;  // R = r1 / (r1 + r2) (cos θ, sin θ); 0 where r1 and r2 are

  double length() const;  // |R|: 0 at the centroid, 1 on the contour
};

// Of these pixels, in their order, about the object of a mask (H, W) u8. Exact: every pixel of the
// contour is looked at for each. Throws Error for an empty mask and pixels outside of it.
std::vector<RelativePosition> relative_positions(const Tensor& mask,
                                                 const std::vector<int64_t>& pixels);

// The positions of the pixels of many objects, summed up.
class PositionSummary {
 public:
  // `boundary`: the |R| beyond which a pixel counts as near the boundary, "|R| ≈ 1".
  explicit PositionSummary(int64_t bins = 64, double boundary = 0.9);
  void add(const std::vector<RelativePosition>& positions);

  int64_t pixels() const { return pixels_; }
  double mean_length() const;          // of R; 0 without pixels
  double share_near_boundary() const;  // |R| > boundary; 0 without pixels
  // Figure 6(b): (bins, bins) i64, how many R lie in each cell of [-1, 1]², rows along y.
  Tensor histogram() const;

 private:
  int64_t bins_, pixels_ = 0, near_boundary_ = 0;
  double boundary_, lengths_ = 0;
  std::vector<int64_t> counts_;
};

// How many of these pixels of a map `width` pixels wide have their centre in the box: 87 % of those
// of gradient-based maps lie in the proposal that the map was made for [section 5].
int64_t count_inside(const std::vector<int64_t>& pixels, int64_t width, const BoxArray& box);

// Figure 8: rows of boxes (R, 4) f32 that lie most differently, `most` of them or all there are.
// First the two that overlap least, then each time the one whose greatest IoU with those before is
// least; of equals, the first.
std::vector<int64_t> most_different(const Tensor& boxes, int64_t most);

// Mean IoU of positive proposals with the boxes that the detector makes of them, 0.56 in section 5;
// 0 without positives.
double mean_proposal_iou(const Positives& positives);

}  // namespace bbam
