// Turns every CUDA library status into a DeviceError with the call, file and line.
// Only for files that are built with CUDA=1 (*_cuda.cpp) and for parallel.h under nvcc.
#pragma once
#include <cuda_runtime.h>

#include "tensor/check.h"

namespace bbam::cuda {

[[noreturn]] inline void fail_call(const char* call, const char* file, int line,
                                   const char* reason) {
  throw DeviceError(join(file, ":", line, ": ", call, ": ", reason));
}

inline void check_status(cudaError_t status, const char* call, const char* file, int line) {
  if (status != cudaSuccess) fail_call(call, file, line, cudaGetErrorString(status));
}

}  // namespace bbam::cuda

#define BBAM_CUDA(call) ::bbam::cuda::check_status((call), #call, __FILE__, __LINE__)
