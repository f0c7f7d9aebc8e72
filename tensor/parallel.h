// A kernel is written once, as a named functor, and run here on either device (DESIGN decision 1).
//
//   struct Scale { float* y; float a; HD void operator()(int64_t i) const { y[i] *= a; } };
//   parallel_for("scale", stream, n, Scale{y, 2.f});
//
// parallel_for: independent elements. parallel_blocks: threads that cooperate through a Block; on
// the CPU a block is one thread, so loops over rank()/size() become plain loops, sync() is empty
// and reduce() is the identity. Lambdas are refused on purpose: nvcc wraps them in an indirect call
// on the host. Include from .cu files only; .cpp files never hold kernels.
#pragma once
#include <algorithm>
#include <type_traits>
#include <vector>

#include "tensor/check.h"
#include "tensor/device.h"
#include "tensor/profile.h"
#if defined(__CUDACC__)
#include "tensor/cuda_check.h"
#endif

namespace bbam {

// The threads that share one block of work. Never return before a sync(), never test rank()
// against a constant to skip a sync().
struct Block {
  int rank_, size_;
  void* scratch_;

  HD int rank() const { return rank_; }
  HD int size() const { return size_; }
  HD void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
  template <class T>
  HD T* scratch() const {
    return static_cast<T*>(scratch_);
  }
  // Combines one value of each thread in a fixed order; every thread gets the result. On CUDA the
  // block size must be a multiple of 32.
  template <class T, class Op>
  HD T reduce(T value, Op op) const {
#if defined(__CUDA_ARCH__)
    __shared__ T warps[32];
    for (int offset = 16; offset > 0; offset >>= 1)
      value = op(value, __shfl_xor_sync(0xffffffffu, value, offset));
    if ((rank_ & 31) == 0) warps[rank_ >> 5] = value;
    __syncthreads();
    T result = warps[0];
    for (int w = 1; w < (size_ >> 5); ++w) result = op(result, warps[w]);
    __syncthreads();
    return result;
#else
    (void)op;
    return value;
#endif
  }
};

#if defined(__CUDACC__)
namespace detail {
template <class F>
__global__ void for_kernel(int64_t n, F f) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < n; i += step) f(i);
}
template <class F>
__global__ void blocks_kernel(int64_t blocks, F f) {
  extern __shared__ __align__(16) unsigned char scratch[];
  for (int64_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    f(Block{int(threadIdx.x), int(blockDim.x), scratch}, b);
    __syncthreads();
  }
}
}  // namespace detail
#endif

// Runs f(i) for i in [0, n). `flops` and `bytes` are for the profile, over the whole call.
template <class F>
void parallel_for(const char* label, Stream stream, int64_t n, F f, int64_t flops = 0,
                  int64_t bytes = 0) {
  static_assert(std::is_trivially_copyable_v<F>, "a kernel is a plain struct of views and scalars");
  if (n <= 0) return;
  const ProfileScope scope(label, stream, flops, bytes);
  if (stream.device.is_cuda()) {
#if defined(__CUDACC__)
    constexpr int kThreads = 256;
    const auto grid = unsigned(std::min<int64_t>((n + kThreads - 1) / kThreads, 1 << 20));
    detail::for_kernel<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream.handle)>>>(n, f);
    BBAM_CUDA(cudaGetLastError());
#else
    fail(label, ": this program was built without CUDA");
#endif
    return;
  }
#pragma omp parallel for schedule(static) if (n > 1024)
  for (int64_t i = 0; i < n; ++i) f(i);
}

// Runs f(block, b) for b in [0, blocks); `threads` (a multiple of 32) cooperate on each block on
// CUDA and share `scratch_bytes` of memory. Scratch is not cleared between blocks.
template <class F>
void parallel_blocks(const char* label, Stream stream, int64_t blocks, int threads,
                     size_t scratch_bytes, F f, int64_t flops = 0, int64_t bytes = 0) {
  static_assert(std::is_trivially_copyable_v<F>, "a kernel is a plain struct of views and scalars");
  check(threads % 32 == 0 && threads <= 1024, label, ": ", threads,
        " threads in a block; expected a multiple of 32 up to 1024");
  if (blocks <= 0) return;
  const ProfileScope scope(label, stream, flops, bytes);
  if (stream.device.is_cuda()) {
#if defined(__CUDACC__)
    const auto grid = unsigned(std::min<int64_t>(blocks, 1 << 20));
    detail::
        blocks_kernel<<<grid, threads, scratch_bytes, static_cast<cudaStream_t>(stream.handle)>>>(
            blocks, f);
    BBAM_CUDA(cudaGetLastError());
#else
    fail(label, ": this program was built without CUDA");
#endif
    return;
  }
#pragma omp parallel if (blocks > 1)
  {
    std::vector<std::max_align_t> scratch(scratch_bytes / sizeof(std::max_align_t) + 1);
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) f(Block{0, 1, scratch.data()}, b);
  }
}

}  // namespace bbam
