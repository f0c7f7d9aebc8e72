// Convolutions: one small interface, one implementation per library (DESIGN decision 3).
//
// x: (N, H, W, Cin); w: (Cout, kh, kw, Cin); y: (N, Ho, Wo, Cout); bias: (Cout). All results are
// overwritten. Deterministic for any thread count.
// Pooling and normalisation are memory-bound, so they are kernels of ours (layers/), not calls
// here.
#pragma once
#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace bbam {

struct Conv2dSpec {
  int stride = 1, padding = 0, dilation = 1;
  auto operator<=>(const Conv2dSpec&) const = default;
};

// What is fused behind a convolution: y = act(conv(x, w) + bias + residual). The ReLU lets a NaN
// through, but for oneDNN's, which makes it 0: training therefore looks at the gradients too.
struct ConvEpilogue {
  Tensor bias = {};      // (Cout), or undefined
  Tensor residual = {};  // the shape of y, or undefined
  bool relu = false;
};

class Dnn {
 public:
  virtual ~Dnn() = default;
  virtual const char* name() const = 0;
  virtual void conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& epilogue,
                      const Conv2dSpec& spec, Tensor& y) = 0;
  virtual void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                    Tensor& dx) = 0;
  virtual void conv2d_backward_filter(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                      Tensor& dw) = 0;
};

// The implementation for `like`'s device and type, or the one that UseBackend asks for.
Dnn& dnn(const Tensor& like);

Dnn& reference_dnn();  // dnn_ref.cu: either device, f32 and f64
Dnn& cpu_dnn();        // dnn_onednn.cpp, f32
Dnn& cuda_dnn();       // dnn_cuda.cpp (cuDNN), f32; dnn_nocuda.cpp throws

// Shape of y; throws Error when x, w and spec do not fit together.
Shape conv2d_output_shape(const Shape& x, const Shape& w, const Conv2dSpec& spec);
int64_t conv2d_flops(const Shape& y, const Shape& w);
// Throws Error unless x, w, y (and the epilogue) form one convolution, of one type on one device.
void check_conv2d(const Tensor& x, const Tensor& w, const Tensor& y, const Conv2dSpec& spec,
                  const ConvEpilogue& epilogue = {});

}  // namespace bbam
