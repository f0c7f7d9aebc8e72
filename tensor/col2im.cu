#include "tensor/col2im.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Gather {
  const T* columns;
  T* dx;
  int64_t h, w, cin, ho, wo, kh, kw;
  int stride, padding, dilation;

  // One pixel of dx, all channels.
  HD void operator()(int64_t i) const {
    const int64_t col = i % w, row = i / w % h, n = i / w / h;
    T* pixel = dx + i * cin;
    for (int64_t c = 0; c < cin; ++c) pixel[c] = 0;
    for (int64_t r = 0; r < kh; ++r) {
      const int64_t p = row + padding - r * dilation;
      if (p < 0 || p % stride || p / stride >= ho) continue;
      for (int64_t s = 0; s < kw; ++s) {
        const int64_t q = col + padding - s * dilation;
        if (q < 0 || q % stride || q / stride >= wo) continue;
        const int64_t position = (n * ho + p / stride) * wo + q / stride;
        const T* field = columns + ((position * kh + r) * kw + s) * cin;
        for (int64_t c = 0; c < cin; ++c) pixel[c] += field[c];
      }
    }
  }
};

}  // namespace

void col2im(const Tensor& columns, const Shape& w, const Conv2dSpec& spec, const Shape& dy,
            Tensor& dx) {
  check_shape(columns, {dy[0] * dy[1] * dy[2], w[1] * w[2] * w[3]}, "col2im: columns");
  dispatch_float(dx.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("col2im", dx.stream(), dx.size() / w[3],
                 Gather<T>{columns.data<T>(), dx.mutable_data<T>(), dx.dim(1), dx.dim(2), w[3],
                           dy[1], dy[2], w[1], w[2], spec.stride, spec.padding, spec.dilation},
                 columns.size(), int64_t(columns.bytes() + dx.bytes()));
  });
}

}  // namespace bbam
