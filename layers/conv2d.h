// Convolution and transposed convolution with their gradients, through the vendor interface dnn.h.
#pragma once
#include "autograd/variable.h"
#include "tensor/dnn.h"

namespace bbam {

// What is computed in the same pass as a convolution; undefined members are left out.
struct Fused {
  Variable bias = {};      // (Cout)
  Variable residual = {};  // the shape of the result
  bool relu = false;
};

// y = act(conv(x, w) + bias + residual). x: (N, H, W, Cin); w: (Cout, kh, kw, Cin);
// y: (N, Ho, Wo, Cout) with Ho = (H + 2 padding - dilation (kh - 1) - 1) / stride + 1, floored.
// Gradients flow to x, w, bias and residual, each only where it is needed.
Variable conv2d(const Variable& x, const Variable& w, const Conv2dSpec& spec = {},
                const Fused& fused = {});

// The transpose of conv2d as a linear map. x: (N, H, W, Cin); w: (Cin, kh, kw, Cout), that is, the
// weights of the convolution that leads back; bias: (Cout) or undefined;
// y: (N, Ho, Wo, Cout) with Ho = (H - 1) stride - 2 padding + dilation (kh - 1) + 1 +
// output_padding.
Variable conv_transpose2d(const Variable& x, const Variable& w, const Variable& bias,
                          const Conv2dSpec& spec = {}, int output_padding = 0);

}  // namespace bbam
