#include "tensor/dnn.h"

namespace bbam {
namespace {

int64_t output_extent(int64_t in, int64_t kernel, const Conv2dSpec& s) {
  const int64_t reach = s.dilation * (kernel - 1) + 1, padded = in + 2 * s.padding;
  return padded < reach ? 0 : (padded - reach) / s.stride + 1;
}

}  // namespace

Shape conv2d_output_shape(const Shape& x, const Shape& w, const Conv2dSpec& spec) {
  check(x.rank() == 4 && w.rank() == 4, "conv2d of x ", x, " and w ", w,
        "; expected (N, H, W, Cin) and (Cout, kh, kw, Cin)");
  check(x[3] == w[3], "conv2d: x ", x, " has ", x[3], " channels and w ", w, " takes ", w[3]);
  check(spec.stride >= 1 && spec.padding >= 0 && spec.dilation >= 1 && w[1] >= 1 && w[2] >= 1,
        "conv2d: stride ", spec.stride, ", padding ", spec.padding, ", dilation ", spec.dilation,
        ", w ", w);
  return {x[0], output_extent(x[1], w[1], spec), output_extent(x[2], w[2], spec), w[0]};
}

int64_t conv2d_flops(const Shape& y, const Shape& w) { return 2 * y.size() * w[1] * w[2] * w[3]; }

void check_conv2d(const Tensor& x, const Tensor& w, const Tensor& y, const Conv2dSpec& spec,
                  const ConvEpilogue& epilogue) {
  const Shape expected = conv2d_output_shape(x.shape(), w.shape(), spec);
  check(y.shape() == expected, "conv2d: y is ", y.shape(), "; expected ", expected);
  check(x.dtype() == w.dtype() && x.dtype() == y.dtype() && x.device() == w.device() &&
            x.device() == y.device(),
        "conv2d of ", x, " and ", w, " into ", y, "; expected one type and device");
  if (epilogue.bias.defined()) {
    check_shape(epilogue.bias, {w.dim(0)}, "conv2d: bias");
    check(epilogue.bias.dtype() == y.dtype() && epilogue.bias.device() == y.device(),
          "conv2d: bias is ", epilogue.bias, " and y ", y, "; expected one type and device");
  }
  if (epilogue.residual.defined()) check_same(epilogue.residual, y, "conv2d: residual and y");
}

}  // namespace bbam
