// bbam devices: what the program can run on, and what that machine can do at most.
#include <fmt/format.h>

#include <functional>
#include <limits>

#include "autograd/accumulate.h"
#include "cli/commands.h"
#include "cli/run_record.h"
#include "tensor/blas.h"
#include "tensor/dnn.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

struct DevicesOptions {
  double seconds = 1;
};

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

struct Peaks {
  double gemm_gflops, conv_gflops, gbytes_per_s;
  std::string blas, dnn;
};

Peaks measure(Device device, double budget_s) {
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

void list_devices(const DevicesOptions& options, Session& session) {
  session.out << fmt::format("{:<10} {}\n", "libraries", library_versions());
  session.out << fmt::format("{:<10} {}\n\n", "threads", threads());
  session.out << fmt::format("{:<8} {:>15} {:>18} {:>15}  {}\n", "device", "gemm GFLOP/s",
                             "conv 3x3 GFLOP/s", "memory GB/s", "what it is");
  for (const Device device : available_devices()) {
    const Peaks peaks = measure(device, options.seconds);
    const std::string name = device.is_cpu() ? processor_name() : cuda::describe(device.index);
    session.out << fmt::format("{:<8} {:>15.0f} {:>18.0f} {:>15.1f}  {} ({}, {})\n",
                               to_string(device), peaks.gemm_gflops, peaks.conv_gflops,
                               peaks.gbytes_per_s, name, peaks.blas, peaks.dnn)
                << std::flush;
  }
}

}  // namespace

void add_devices(Program& program) {
  auto options = std::make_shared<DevicesOptions>();
  Command command = program.add("devices", "What it can run on, and measured peak speeds");
  command.option("--seconds", options->seconds, "to spend on each of the three measurements")
      .between(0.01, 60);
  command.footer(
      "gemm: a large product of square matrices; conv: 256 to 256 channels on 50 x 68 pixels;\n"
      "memory: sum += term on arrays that no cache holds, two reads and a write. Best of several.");
  command.action([options](Session& session) { list_devices(*options, session); });
}

}  // namespace bbam
