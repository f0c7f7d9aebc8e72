#include "tensor/backend.h"

#include <atomic>

#include "tensor/blas.h"
#include "tensor/dnn.h"

namespace bbam {
namespace {
thread_local Backend chosen = Backend::kFastest;
std::atomic<Precision> run_precision{Precision::kFp32};
}  // namespace

Precision precision() { return run_precision; }
void set_precision(Precision precision) { run_precision = precision; }

UseBackend::UseBackend(Backend backend) : before_(chosen) { chosen = backend; }
UseBackend::~UseBackend() { chosen = before_; }
Backend UseBackend::current() { return chosen; }

Blas& blas(const Tensor& like) {
  if (chosen == Backend::kReference) return reference_blas();
  return like.device().is_cuda() ? cuda_blas() : cpu_blas();
}

Dnn& dnn(const Tensor& like) {
  // Neither oneDNN nor cuDNN (NHWC) convolves in double; double exists for gradient checks.
  if (chosen == Backend::kReference || like.dtype() == DType::kF64) return reference_dnn();
  return like.device().is_cuda() ? cuda_dnn() : cpu_dnn();
}

}  // namespace bbam
