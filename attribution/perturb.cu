#include "attribution/perturb.h"

#include "layers/shape_ops.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// One pixel of one mask, three channels.
template <class T>
struct Blend {
  const T *image, *mask;
  T* y;
  int64_t pixels;
  T fill[3];
  HD void operator()(int64_t i) const {
    const T* from = image + i % pixels * 3;
    for (int c = 0; c < 3; ++c) y[3 * i + c] = from[c] * mask[i] + fill[c] * (T(1) - mask[i]);
  }
};

template <class T>
struct BlendBackward {
  const T *image, *dy;
  T* dmask;
  int64_t pixels;
  T fill[3];
  HD void operator()(int64_t i) const {
    const T* from = image + i % pixels * 3;
    T sum = 0;
    for (int c = 0; c < 3; ++c) sum += (from[c] - fill[c]) * dy[3 * i + c];
    dmask[i] = sum;
  }
};

}  // namespace

Variable perturb(const Tensor& image, const Variable& upsampled,
                 const std::array<double, 3>& fill) {
  check_shape(image, {1, -1, -1, 3}, "perturb: image");
  check_shape(upsampled.value(), {-1, image.dim(1), image.dim(2), 1}, "perturb: masks");
  check(upsampled.value().dtype() == image.dtype() && upsampled.value().device() == image.device(),
        "perturb: masks ", upsampled.value(), ", image ", image);
  const int64_t count = upsampled.dim(0), pixels = image.dim(1) * image.dim(2);
  Tensor y = Tensor::empty({count, image.dim(1), image.dim(2), 3}, image.dtype(), image.device());
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("perturb", y.stream(), count * pixels,
                 Blend<T>{image.data<T>(),
                          upsampled.value().data<T>(),
                          y.mutable_data<T>(),
                          pixels,
                          {T(fill[0]), T(fill[1]), T(fill[2])}});
  });
  return record("perturb", y, {upsampled}, [=](const Tensor& dy, Gradients& dx) {
    Tensor dmask = Tensor::empty({count, image.dim(1), image.dim(2), 1}, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      parallel_for("perturb.backward", dy.stream(), count * pixels,
                   BlendBackward<T>{image.data<T>(),
                                    dy.data<T>(),
                                    dmask.mutable_data<T>(),
                                    pixels,
                                    {T(fill[0]), T(fill[1]), T(fill[2])}});
    });
    dx.give(0, dmask);
  });
}

Variable upsample_masks(const std::vector<Variable>& masks, int64_t height, int64_t width,
                        Corners corners) {
  std::vector<Variable> upsampled;
  for (const Variable& mask : masks) {
    const Variable image = reshape(mask, {1, mask.dim(0), mask.dim(1), 1});
    upsampled.push_back(resize_bilinear(image, height, width, corners));
  }
  return concat(upsampled, 0);
}

}  // namespace bbam
