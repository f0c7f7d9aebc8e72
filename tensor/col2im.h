// The last step of a convolution's backward-data by matrix product.
#pragma once
#include "tensor/dnn.h"

namespace bbam {

// columns: (N Ho Wo, kh kw Cin), the gradient of each output's receptive field; dy_shape
// (N, Ho, Wo, Cout). Overwrites dx (N, H, W, Cin) with the sum of the fields that cover each pixel,
// gathered in a fixed order.
void col2im(const Tensor& columns, const Shape& w_shape, const Conv2dSpec& spec,
            const Shape& dy_shape, Tensor& dx);

}  // namespace bbam
