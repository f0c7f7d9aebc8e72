// The CUDA half of device.h.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <map>
#include <mutex>

#include "tensor/cuda_check.h"
#include "tensor/device.h"

namespace bbam::cuda {
namespace {

// cudaGetDeviceCount fails on a machine without a driver, or with one that is too old; that is "no
// devices", with a reason, not an error.
struct Found {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
};

const Found& found() {
  static const Found once;
  return once;
}

}  // namespace

int device_count() { return found().status == cudaSuccess ? found().count : 0; }

std::string why_none() {
  return found().status == cudaSuccess ? "" : cudaGetErrorString(found().status);
}

std::string describe(int index) {
  cudaDeviceProp properties{};
  BBAM_CUDA(cudaGetDeviceProperties(&properties, index));
  return join(properties.name, ", compute capability ", properties.major, ".", properties.minor,
              ", ", properties.totalGlobalMem >> 20, " MiB, ", properties.multiProcessorCount,
              " multiprocessors");
}

void* stream(int index) {
  static std::mutex mutex;
  static std::map<int, cudaStream_t> streams;
  const std::lock_guard lock(mutex);
  BBAM_CUDA(cudaSetDevice(index));
  auto [entry, is_new] = streams.try_emplace(index, nullptr);
  if (is_new) BBAM_CUDA(cudaStreamCreateWithFlags(&entry->second, cudaStreamNonBlocking));
  return entry->second;
}

void synchronize(int index) {
  BBAM_CUDA(cudaStreamSynchronize(static_cast<cudaStream_t>(stream(index))));
}

void* allocate(int index, size_t bytes) {
  BBAM_CUDA(cudaSetDevice(index));
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail("out of memory: ", bytes, " bytes on cuda:", index,
         " could not be had; use a smaller batch or image");
  }
  BBAM_CUDA(status);
  return memory;
}

size_t memory_bytes(int index) {
  cudaDeviceProp properties{};
  BBAM_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties.totalGlobalMem;
}

void release(int index, void* memory) noexcept {
  if (cudaSetDevice(index) == cudaSuccess) cudaFree(memory);
}

void copy(void* to, const void* from, size_t bytes, int index) {
  auto* queue = static_cast<cudaStream_t>(stream(index));
  BBAM_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, queue));
  BBAM_CUDA(cudaStreamSynchronize(queue));
}

void fill_bytes(int index, void* memory, int value, size_t bytes) {
  BBAM_CUDA(cudaMemsetAsync(memory, value, bytes, static_cast<cudaStream_t>(stream(index))));
}

std::string library_versions() {
  int runtime = 0, driver = 0;
  BBAM_CUDA(cudaRuntimeGetVersion(&runtime));
  BBAM_CUDA(cudaDriverGetVersion(&driver));
  return join("CUDA ", runtime / 1000, ".", runtime % 1000 / 10, " (driver ", driver / 1000, ".",
              driver % 1000 / 10, "), cuBLAS ", CUBLAS_VER_MAJOR, ".", CUBLAS_VER_MINOR, ", cuDNN ",
              cudnnGetVersion());
}

}  // namespace bbam::cuda
