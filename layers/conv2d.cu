#include "layers/conv2d.h"

#include "layers/broadcast.h"
#include "tensor/conv_epilogue.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// dy where the ReLU let the value through, else 0.
template <class T>
struct ReluGate {
  const T *dy, *y;
  T* gated;
  HD void operator()(int64_t i) const {
    const T g = dy[i];  // loaded in any case: a load under a condition is not vectorised
    gated[i] = y[i] > T(0) ? g : T(0);
  }
};

Tensor relu_gate(const Tensor& dy, const Tensor& y) {
  Tensor gated = Tensor::empty_like(dy);
  dispatch_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("relu_gate", dy.stream(), dy.size(),
                 ReluGate<T>{dy.data<T>(), y.data<T>(), gated.mutable_data<T>()}, dy.size(),
                 int64_t(3 * dy.bytes()));
  });
  return gated;
}

}  // namespace

Variable conv2d(const Variable& x, const Variable& w, const Conv2dSpec& spec, const Fused& fused) {
  ConvEpilogue epilogue{.relu = fused.relu};
  if (fused.bias.defined()) epilogue.bias = fused.bias.value();
  if (fused.residual.defined()) epilogue.residual = fused.residual.value();
  Tensor y = Tensor::empty(conv2d_output_shape(x.shape(), w.shape(), spec), x.dtype(), x.device());
  dnn(y).conv2d(x.value(), w.value(), epilogue, spec, y);

  const Variable bias = fused.bias.defined() ? fused.bias : Variable(Tensor());
  const Variable residual = fused.residual.defined() ? fused.residual : Variable(Tensor());
  const bool relu = fused.relu;
  return record("conv2d", y, {x, w, bias, residual},
                [x = x.value(), w = w.value(), y, spec, relu](const Tensor& dy, Gradients& dx) {
                  const Tensor g = relu ? relu_gate(dy, y) : dy;
                  if (dx.needs(0)) {
                    Tensor gradient = Tensor::empty_like(x);
                    dnn(g).conv2d_backward_data(g, w, spec, gradient);
                    dx.give(0, gradient);
                  }
                  if (dx.needs(1)) {
                    Tensor gradient = Tensor::empty_like(w);
                    dnn(g).conv2d_backward_filter(x, g, spec, gradient);
                    dx.give(1, gradient);
                  }
                  if (dx.needs(2)) dx.give(2, sum_to(g, {g.dim(-1)}));
                  if (dx.needs(3)) dx.give(3, g);
                });
}

Variable conv_transpose2d(const Variable& x, const Variable& w, const Variable& bias,
                          const Conv2dSpec& spec, int output_padding) {
  check(x.rank() == 4 && w.rank() == 4 && x.dim(3) == w.dim(0), "conv_transpose2d of x ", x.shape(),
        " and w ", w.shape(), "; expected (N, H, W, Cin) and (Cin, kh, kw, Cout)");
  check(output_padding >= 0 && output_padding < spec.stride, "conv_transpose2d: output_padding ",
        output_padding, "; expected 0 to stride - 1 = ", spec.stride - 1);
  const auto extent = [&](int64_t in, int64_t kernel) {
    const int64_t out =
        (in - 1) * spec.stride - 2 * spec.padding + spec.dilation * (kernel - 1) + 1;
    return in == 0 ? 0 : std::max<int64_t>(out + output_padding, 0);
  };
  const Shape shape{x.dim(0), extent(x.dim(1), w.dim(1)), extent(x.dim(2), w.dim(2)), w.dim(3)};
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  dnn(y).conv2d_backward_data(x.value(), w.value(), spec, y);
  if (bias.defined()) {
    check_shape(bias.value(), {w.dim(3)}, "conv_transpose2d: bias");
    apply_epilogue({.bias = bias.value()}, y);
  }
  return record("conv_transpose2d", y, {x, w, bias.defined() ? bias : Variable(Tensor())},
                [x = x.value(), w = w.value(), spec](const Tensor& dy, Gradients& dx) {
                  if (dx.needs(0)) {
                    Tensor gradient = Tensor::empty_like(x);
                    dnn(dy).conv2d(dy, w, {}, spec, gradient);
                    dx.give(0, gradient);
                  }
                  if (dx.needs(1)) {
                    Tensor gradient = Tensor::empty_like(w);
                    dnn(dy).conv2d_backward_filter(dy, x, spec, gradient);
                    dx.give(1, gradient);
                  }
                  if (dx.needs(2)) dx.give(2, sum_to(dy, {dy.dim(-1)}));
                });
}

}  // namespace bbam
