// From the mask of a box to the mask of a picture [He 2017, Mask R-CNN, section 3.1, inference; the
// rules are those of maskrcnn-benchmark's Masker with padding 1].
#pragma once
#include "detectors/boxes.h"
#include "layers/window.h"

namespace bbam {

// Of one object: probabilities (M, M) f32 of the cells of `box`, half-open in pixels of the frame
// -> (height, width) f32, 0 outside the box; on the device of the probabilities.
//
// A border of one cell of 0 is laid around the mask and the box grown by it, about its centre, by
// (M + 2) / M each way. Its first and last pixels are then truncated towards 0, at the cost of up
// to a pixel at the end, and the mask is resized to them bilinearly, edges coinciding (PyTorch's
// align_corners = false). What lies outside the frame is cut off. To draw on a picture of another
// size than the network's input, scale the box.
// DIFFERS from torchvision, which takes the end of a half-open box for its last pixel and draws
// masks one pixel larger; and from the authors of BBAM, who clip the grown box to the picture
// before they resize the mask to it, which squeezes masks at the edge.
//
// Throws Error for wrong shapes or types, and a box that is not finite or beyond a million pixels.
Tensor paste_mask(const Tensor& probabilities, const Box<float>& box, FrameSize frame);

// The pixels of the frame that paste_mask resizes a mask of cells x cells to, its border included;
// empty where the box is outside. Throws Error for a box as paste_mask does.
Window pasted_window(const Box<float>& box, int64_t cells, FrameSize frame);

// (height, width) u8: 1 where a pasted mask is above the threshold.
Tensor pasted_above(const Tensor& pasted, double threshold = 0.5);

}  // namespace bbam
