#include "segmenters/class_masks.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct TakeClass {
  const T* x;
  const int64_t* classes;
  T* y;
  int64_t cells, channels;
  HD void operator()(int64_t i) const { y[i] = x[i * channels + classes[i / cells]]; }
};

template <class T>
struct TakeClassBackward {
  const T* dy;
  const int64_t* classes;
  T* dx;
  int64_t cells, channels;
  HD void operator()(int64_t i) const {
    const int64_t cell = i / channels;
    dx[i] = i % channels == classes[cell / cells] ? dy[cell] : T(0);
  }
};

void check_classes(const Tensor& classes, int64_t channels) {
  const std::vector<int64_t> wanted = classes.to(kCpu).to_vector<int64_t>();
  for (size_t r = 0; r < wanted.size(); ++r)
    check(wanted[r] >= 0 && wanted[r] < channels, "class_masks: class ", wanted[r], " of row ", r,
          "; expected 0 to ", channels - 1);
}

}  // namespace

Variable class_masks(const Variable& masks, const Tensor& classes) {
  check_shape(masks.value(), {-1, -1, -1, -1}, "class_masks: masks");
  const Shape whole = masks.shape();
  check_shape(classes, {whole[0]}, "class_masks: classes");
  check_classes(classes, whole[3]);
  const Tensor x = masks.value(), on_device = classes.to(x.device());
  const int64_t cells = whole[1] * whole[2], channels = whole[3];
  Tensor y = Tensor::empty({whole[0], whole[1], whole[2]}, x.dtype(), x.device());
  dispatch_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    const TakeClass<T> kernel{x.data<T>(), on_device.data<int64_t>(), y.mutable_data<T>(), cells,
                              channels};
    parallel_for("class_masks", y.stream(), y.size(), kernel, 0, int64_t(2 * y.bytes()));
  });
  return record("class_masks", y, {masks}, [=](const Tensor& dy, Gradients& dx) {
    Tensor d = Tensor::empty(whole, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      const TakeClassBackward<T> kernel{dy.data<T>(), on_device.data<int64_t>(),
                                        d.mutable_data<T>(), cells, channels};
      parallel_for("class_masks.backward", dy.stream(), d.size(), kernel, 0,
                   int64_t(dy.bytes() + d.bytes()));
    });
    dx.give(0, d);
  });
}

}  // namespace bbam
