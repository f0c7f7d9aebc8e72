#include "autograd/accumulate.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Accumulate {
  T* sum;
  const T* term;
  HD void operator()(int64_t i) const { sum[i] += term[i]; }
};

}  // namespace

void accumulate(Tensor& sum, const Tensor& term) {
  check_same(sum, term, "accumulate");
  dispatch_float(sum.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("accumulate", sum.stream(), sum.size(),
                 Accumulate<T>{sum.mutable_data<T>(), term.data<T>()}, sum.size(),
                 int64_t(3 * sum.bytes()));
  });
}

}  // namespace bbam
