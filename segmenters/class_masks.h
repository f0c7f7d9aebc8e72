// Of the masks that the mask branch draws, those of given classes [He 2017, Mask R-CNN, section 3:
// training looks at the true class's mask alone, and a picture gets the predicted class's].
#pragma once
#include "autograd/variable.h"

namespace bbam {

// masks: (R, M, N, C) f32 or f64; classes: (R) i64 in [0, C) -> (R, M, N): y[r] = masks[r, ...,
// classes[r]], with gradients for the masks. Classes are checked on the host; throws Error for one
// that there is not.
Variable class_masks(const Variable& masks, const Tensor& classes);

}  // namespace bbam
