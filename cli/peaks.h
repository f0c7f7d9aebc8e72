// What a device can reach at best, measured: the yardstick of `bbam devices` and of the benches.
#pragma once
#include <string>

#include "tensor/device.h"

namespace bbam {

struct Peaks {
  double gemm_gflops;     // a large product of square matrices
  double conv_gflops;     // 3 x 3, 256 to 256 channels, on 50 x 68 pixels
  double gbytes_per_s;    // sum += term on arrays that no cache holds: two reads and a write
  std::string blas, dnn;  // the libraries
};

// The best of the calls that fit into about `budget_s` seconds for each of the three.
Peaks measure_peaks(Device device, double budget_s);

}  // namespace bbam
