// bbam devices: what the program can run on, and what that machine can do at most.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/peaks.h"
#include "cli/run_record.h"

namespace bbam {
namespace {

struct DevicesOptions {
  double seconds = 1;
};

void list_devices(const DevicesOptions& options, Session& session) {
  session.out << fmt::format("{:<10} {}\n", "libraries", library_versions());
  session.out << fmt::format("{:<10} {}\n\n", "threads", threads());
  session.out << fmt::format("{:<8} {:>15} {:>18} {:>15}  {}\n", "device", "gemm GFLOP/s",
                             "conv 3x3 GFLOP/s", "memory GB/s", "what it is");
  for (const Device device : available_devices()) {
    const Peaks peaks = measure_peaks(device, options.seconds);
    const std::string name = device.is_cpu() ? processor_name() : cuda::describe(device.index);
    session.out << fmt::format("{:<8} {:>15.0f} {:>18.0f} {:>15.1f}  {} ({}, {})\n",
                               to_string(device), peaks.gemm_gflops, peaks.conv_gflops,
                               peaks.gbytes_per_s, name, peaks.blas, peaks.dnn)
                << std::flush;
  }
  if (const std::string why = cuda::why_none(); !why.empty())
    session.out << "\nno CUDA device: " << why << '\n';
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
