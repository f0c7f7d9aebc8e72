#include "cli/peaks.h"

#include <functional>
#include <limits>

#include "autograd/accumulate.h"
#include "tensor/blas.h"
#include "tensor/dnn.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

// Seconds of the fastest of several calls, after one to warm up; about `budget_s` in all.
double fastest_s(Device device, double budget_s, const std::function<void()>& work) {
  work();
  synchronize(device);
  double best_s = std::numeric_limits<double>::infinity();
  const double until_s = profile::now_s() + budget_s;
  do {
    const double start_s = profile::now_s();
    work();
    synchronize(device);
    best_s = std::min(best_s, profile::now_s() - start_s);
  } while (profile::now_s() < until_s);
  return best_s;
}

}  // namespace

Peaks measure_peaks(Device device, double budget_s) {
  const bool gpu = device.is_cuda();
  const int64_t n = gpu ? 8192 : 1536;
  const Tensor a = Tensor::full({n, n}, 0.5, DType::kF32, device);
  const Tensor b = Tensor::full({n, n}, 0.25, DType::kF32, device);
  Tensor c = Tensor::empty_like(a);
  const double gemm_s = fastest_s(device, budget_s, [&] { blas(a).gemm(a, b, c, GemmSpec{}); });

  // The 3x3 convolution of ResNet's third stage.
  const Tensor x = Tensor::full({gpu ? 32 : 4, 50, 68, 256}, 0.5, DType::kF32, device);
  const Tensor w = Tensor::full({256, 3, 3, 256}, 0.01, DType::kF32, device);
  const Conv2dSpec spec{.padding = 1};
  Tensor y = Tensor::empty(conv2d_output_shape(x.shape(), w.shape(), spec), DType::kF32, device);
  const double conv_s =
      fastest_s(device, budget_s, [&] { dnn(x).conv2d(x, w, ConvEpilogue{}, spec, y); });

  const int64_t count = int64_t(gpu ? 256 : 96) << 20;
  Tensor sum = Tensor::zeros({count}, DType::kF32, device);
  const Tensor term = Tensor::full({count}, 1, DType::kF32, device);
  const double sum_s = fastest_s(device, budget_s, [&] { accumulate(sum, term); });
  return {2e-9 * double(n) * double(n) * double(n) / gemm_s,
          1e-9 * double(conv2d_flops(y.shape(), w.shape())) / conv_s, 12e-9 * double(count) / sum_s,
          blas(a).name(), dnn(x).name()};
}

}  // namespace bbam
