// From decoded pictures to the network's input (METHOD B1, "Input"): resize, flip, subtract, batch.
//
// The rules are those of maskrcnn-benchmark, whose pictures pass through PIL, so that weights
// trained there see the same numbers here. Everything runs on the host, on one thread, and is
// exact: the same bytes everywhere.
#pragma once
#include <array>
#include <vector>

#include "datasets/image.h"
#include "tensor/tensor.h"

namespace bbam {

// Mean of the training pictures, 0 to 255; a perturbed pixel becomes it (METHOD A2).
struct PixelMean {
  float blue, green, red;
};
inline constexpr PixelMean kDetectorMean{102.9801f, 115.9465f, 122.7717f};  // METHOD B1
inline constexpr PixelMean kDeepLabMean{104.008f, 116.669f, 122.675f};      // METHOD B5

// Short side `short_side`, long side at most `long_side`, aspect ratio kept: where the long side
// would be longer, the short side is round(long_side * short / long), ties to even; the other side
// is truncated, and at least 1.
ImageSize resized_size(ImageSize original, int short_side, int long_side);

// PIL's bilinear resize. Each output pixel is a weighted mean under a triangle that reaches one
// output pixel to either side (one input pixel when enlarging), so shrinking averages instead of
// skipping; columns first, then rows, each rounded to 8 bits through weights of 22 fractional bits.
Image resize_bilinear(const Image& image, ImageSize to);
// Takes the input pixel under the middle of each output pixel; for label maps.
Image resize_nearest(const Image& image, ImageSize to);
Image flip_horizontal(const Image& image);

// Maps x to width - x.
PixelBox flip_horizontal(const PixelBox& box, int width);
// Each axis by its own ratio to / from.
PixelBox resize_box(const PixelBox& box, ImageSize from, ImageSize to);

// (H, W, 3) f32: blue, green, red, less the mean.
Tensor to_bgr_tensor(const Image& rgb, PixelMean mean = kDetectorMean);
// (N, H, W, 3) f32 from N tensors of that kind: H and W are the largest, rounded up to a multiple
// of `divisibility`; what a smaller picture leaves, right and below, is 0, that is, the mean.
Tensor batch_images(const std::vector<Tensor>& images, int divisibility = 1);

}  // namespace bbam
