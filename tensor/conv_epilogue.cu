#include "tensor/conv_epilogue.h"

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Epilogue {
  const T *bias, *residual;
  T* y;
  int64_t channels;
  bool relu;
  HD void operator()(int64_t i) const {
    T value = y[i];
    if (bias) value += bias[i % channels];
    if (residual) value += residual[i];
    y[i] = relu && value < T(0) ? T(0) : value;
  }
};

}  // namespace

void apply_epilogue(const ConvEpilogue& e, Tensor& y) {
  if (!e.bias.defined() && !e.residual.defined() && !e.relu) return;
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* bias = e.bias.defined() ? e.bias.data<T>() : nullptr;
    const T* residual = e.residual.defined() ? e.residual.data<T>() : nullptr;
    parallel_for("conv2d.epilogue", y.stream(), y.size(),
                 Epilogue<T>{bias, residual, y.mutable_data<T>(), y.dim(-1), e.relu}, 3 * y.size(),
                 int64_t(y.bytes() * (e.residual.defined() ? 3 : 2)));
  });
}

}  // namespace bbam
