// Graph-based segmentation [Felzenszwalb and Huttenlocher 2004].
//
// Pixels are joined to their 8 neighbours by edges as heavy as their colours differ. Int(C) is the
// heaviest edge of component C's minimum spanning tree, Dif(A, B) the lightest edge between A and
// B. Between no two components of the result is Dif(A, B) at most MInt(A, B), the lesser of
// Int(C) + scale / |C| over both (equations 1 to 4), unless smaller ones were joined away.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

struct Segmentation {
  Tensor labels;  // (H, W) i32: 0 ... count - 1, in the order of their first pixels
  int64_t count = 0;
};

// The edges of one picture in the order of their weights, for segmentations of several scales. All
// on the host; the same labels every time, since equal edges keep their order.
class PixelGraph {
 public:
  // picture: (H, W, C) f32 on the CPU, smoothed first. Throws Error for other shapes and values
  // that are not finite.
  PixelGraph(const Tensor& picture, double sigma_px);

  // scale: the paper's k, in units of the picture's values; components of fewer than least_px
  // pixels are joined to a neighbour at last, over the lightest edge first.
  Segmentation segment(double scale, int64_t least_px) const;

 private:
  int64_t neighbor(int64_t edge) const;

  int64_t height_, width_;
  // Edge 4 p + d leads from pixel p to the right, down left, down, or down right.
  std::vector<int32_t> edges_;
  std::vector<float> weights_;
};

}  // namespace bbam
