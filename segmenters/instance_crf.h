// A dense CRF on the masks that Mask R-CNN has drawn, at test time [METHOD B4, its last bullet].
//
// The constants are those of the authors' program (the CRF branch of its Masker): small objects are
// looked at through a window that is stretched to the size of the photograph, so that the kernels,
// whose widths are in pixels, see them as they see large ones.
#pragma once
#include <vector>

#include "layers/window.h"
#include "segmenters/dense_crf.h"

namespace bbam {

struct InstanceCrfSpec {
  DenseCrfOptions crf = kDeepLabCrf;
  // Before the CRF a mask is divided by the value at this rank, a share of its window's pixels
  // counted from the greatest, and clipped to 1; and the share for windows of few pixels.
  double certain_share = 0.15, tiny_certain_share = 0.2;
  int64_t tiny_px = 100;          // windows of at most so many pixels
  int64_t zoom_below_px = 20000;  // smaller windows are stretched
  double zoom = 3;                // 1: none
};

// The part of a picture, with the window in it, that is stretched to the whole: a z-th of the
// picture, grown by 1 - 1/z of the window, where z is the zoom.
// DIFFERS from the authors, who count the window's last pixel as its end and so leave out up to a
// pixel on the right and below.
Window zoomed_part(const Window& window, double zoom, int64_t height, int64_t width);

// masks: of each object, (H, W) f32, probabilities that are 0 outside its window (paste_mask and
// pasted_window in segmenters/paste_masks.h); photograph: (H, W, 3) u8, all on one device -> for
// each object the marginals of its foreground, (H, W) f32; above 0.5 is the object. Of stretched
// objects they are 0 outside the zoomed part; of an empty window, everywhere. Resized is
// bilinearly with half-pixel corners, as OpenCV does, pictures to whole levels.
// DIFFERS from the authors where a box leaves the picture: as paste_mask does.
// Throws Error for wrong shapes, types, and constants out of range.
std::vector<Tensor> refine_instances(const std::vector<Tensor>& masks,
                                     const std::vector<Window>& windows, const Tensor& photograph,
                                     const InstanceCrfSpec& spec = {});

}  // namespace bbam
