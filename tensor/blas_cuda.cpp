// Matrix product on CUDA by cuBLAS. cuBLAS is column-major: it is asked for c^T = op(b)^T op(a)^T.
// Its results repeat bit for bit on one device and one stream.
#include <cublas_v2.h>

#include <map>
#include <mutex>

#include "tensor/blas.h"
#include "tensor/cuda_check.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

void check_status(cublasStatus_t status, const char* call, int line) {
  if (status != CUBLAS_STATUS_SUCCESS)
    cuda::fail_call(call, __FILE__, line, cublasGetStatusString(status));
}
#define BBAM_CUBLAS(call) check_status((call), #call, __LINE__)

class CuBlas : public Blas {
 public:
  const char* name() const override { return "cuBLAS"; }

  void gemm(const Tensor& a, const Tensor& b, Tensor& c, const GemmSpec& spec) override {
    const GemmExtents e = check_gemm(a, b, c, spec);
    if (c.size() == 0) return;
    if (e.k == 0) return reference_blas().gemm(a, b, c, spec);
    const ProfileScope scope("gemm", c.stream(), 2 * e.m * e.n * e.k,
                             int64_t(a.bytes() + b.bytes() + c.bytes()));
    const std::lock_guard lock(mutex_);
    const cublasHandle_t handle = handle_of(c.device());
    const bool tf32 = a.dtype() == DType::kF32 && precision() == Precision::kTf32;
    const cudaDataType type = a.dtype() == DType::kF32 ? CUDA_R_32F : CUDA_R_64F;
    const cublasComputeType_t compute = a.dtype() == DType::kF64 ? CUBLAS_COMPUTE_64F
                                        : tf32                   ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                 : CUBLAS_COMPUTE_32F;
    const float alpha32 = float(spec.alpha), beta32 = float(spec.beta);
    const bool single = a.dtype() == DType::kF32;
    BBAM_CUBLAS(cublasGemmEx(handle, spec.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                             spec.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, int(e.n), int(e.m),
                             int(e.k), single ? (const void*)&alpha32 : (const void*)&spec.alpha,
                             b.raw(), type, int(b.dim(1)), a.raw(), type, int(a.dim(1)),
                             single ? (const void*)&beta32 : (const void*)&spec.beta,
                             c.mutable_raw(), type, int(c.dim(1)), compute, CUBLAS_GEMM_DEFAULT));
  }

 private:
  cublasHandle_t handle_of(Device device) {
    const Stream stream = stream_of(device);  // also makes the device current
    if (const auto found = handles_.find(device.index); found != handles_.end())
      return found->second;
    cublasHandle_t created = nullptr;
    BBAM_CUBLAS(cublasCreate(&created));
    BBAM_CUBLAS(cublasSetStream(created, static_cast<cudaStream_t>(stream.handle)));
    return handles_[device.index] = created;
  }

  // A handle serves one thread at a time: held for each call, which only queues work.
  std::mutex mutex_;
  // Kept until the process ends: the CUDA context may be gone before static destructors run.
  std::map<int, cublasHandle_t> handles_;
};

}  // namespace

Blas& cuda_blas() {
  static auto& instance = *new CuBlas;
  return instance;
}

}  // namespace bbam
