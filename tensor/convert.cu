#include "tensor/convert.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Fill {
  T* y;
  T value;
  HD void operator()(int64_t i) const { y[i] = value; }
};

template <class From, class To>
struct Convert {
  const From* x;
  To* y;
  HD void operator()(int64_t i) const { y[i] = To(x[i]); }
};

template <class F>
void dispatch_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF32: return f(float{});
    case DType::kF64: return f(double{});
    case DType::kI32: return f(int32_t{});
    case DType::kI64: return f(int64_t{});
    case DType::kU8: return f(uint8_t{});
  }
}

}  // namespace

void fill_values(Stream stream, void* values, DType dtype, int64_t count, double value) {
  dispatch_any(dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for("fill", stream, count, Fill<T>{static_cast<T*>(values), T(value)});
  });
}

void convert(Stream stream, const void* from, DType from_type, void* to, DType to_type,
             int64_t count) {
  dispatch_any(from_type, [&](auto f) {
    dispatch_any(to_type, [&](auto t) {
      using From = decltype(f);
      using To = decltype(t);
      parallel_for("convert", stream, count,
                   Convert<From, To>{static_cast<const From*>(from), static_cast<To*>(to)});
    });
  });
}

}  // namespace bbam
