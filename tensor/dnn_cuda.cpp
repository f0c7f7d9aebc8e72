// Convolution on CUDA by cuDNN, f32, NHWC. Only algorithms that cuDNN calls deterministic are
// taken; a shape that has none is left to the plain loops. What is chosen for a convolution depends
// on its shape, precision and epilogue alone, never on earlier calls, so neither do the bytes.
#include <cudnn.h>

#include <map>
#include <mutex>
#include <vector>

#include "tensor/conv_epilogue.h"
#include "tensor/cuda_check.h"
#include "tensor/dnn.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

void check_status(cudnnStatus_t status, const char* call, int line) {
  if (status != CUDNN_STATUS_SUCCESS)
    cuda::fail_call(call, __FILE__, line, cudnnGetErrorString(status));
}
#define BBAM_CUDNN(call) check_status((call), #call, __LINE__)

// What cuDNN files under "not supported" although the machine's installation is at fault.
bool is_installation(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER ||
         status == CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART ||
         status == CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING ||
         status == CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE;
}

// False when cuDNN has no kernel for what is asked; any other failure throws.
bool is_supported(cudnnStatus_t status, const char* call, int line) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED && !is_installation(status))
    return false;
  check_status(status, call, line);
  return true;
}
#define BBAM_CUDNN_HAS(call) is_supported((call), #call, __LINE__)

// A descriptor that is made and destroyed with its owner.
template <class Handle, auto create, auto destroy>
class Descriptor {
 public:
  Descriptor() { BBAM_CUDNN(create(&handle_)); }
  ~Descriptor() { destroy(handle_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};
using TensorDescriptor =
    Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvDescriptor = Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                                  cudnnDestroyConvolutionDescriptor>;
using ActivationDescriptor =
    Descriptor<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
               cudnnDestroyActivationDescriptor>;

void describe(const TensorDescriptor& descriptor, const Shape& s) {
  BBAM_CUDNN(cudnnSetTensor4dDescriptor(descriptor, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, int(s[0]),
                                        int(s[3]), int(s[1]), int(s[2])));
}

// What one direction of a convolution runs; not found: cuDNN has nothing deterministic for it.
template <class Algorithm>
struct Choice {
  bool made = false, found = false;
  Algorithm algorithm{};
  size_t bytes = 0;  // of workspace
};

// The fastest by cuDNN's heuristics among the deterministic ones. Its lists hold an algorithm under
// several math types, each with a workspace of its own, while it runs under the descriptor's,
// `math`: entries of that type come first, and the workspace is asked for anew, for the pair that
// runs. Determinism is a property of the algorithm.
//   ask(most, &count, results) and workspace(algorithm, &bytes) return a status
template <class Result, class Ask, class Workspace>
auto choose(cudnnMathType_t math, Ask&& ask, Workspace&& workspace) {
  Choice<decltype(Result::algo)> choice{.made = true};
  std::vector<Result> results(16);
  int count = 0;
  if (!BBAM_CUDNN_HAS(ask(int(results.size()), &count, results.data()))) return choice;
  for (bool of_this_type : {true, false})
    for (int i = 0; i < count && !choice.found; ++i) {
      const Result& result = results[size_t(i)];
      if (result.status != CUDNN_STATUS_SUCCESS || result.determinism != CUDNN_DETERMINISTIC ||
          (result.mathType == math) != of_this_type)
        continue;
      choice.found = BBAM_CUDNN_HAS(workspace(result.algo, &choice.bytes));
      choice.algorithm = result.algo;
    }
  return choice;
}

// One convolution shape: its descriptors, and the algorithm for each direction, chosen when that is
// first run.
class Plan {
 public:
  TensorDescriptor x, y, bias;
  FilterDescriptor w;
  ConvDescriptor conv;
  ActivationDescriptor identity, relu;
  // By whether there is a residual and a ReLU: is one fused call known to fail? (With a bias; there
  // is no fused call without one.)
  bool cannot_fuse[2][2] = {};

  Plan(const Shape& xs, const Shape& ws, const Conv2dSpec& s, bool tf32);
  const Choice<cudnnConvolutionFwdAlgo_t>& forward(cudnnHandle_t handle);
  const Choice<cudnnConvolutionBwdDataAlgo_t>& data(cudnnHandle_t handle);
  const Choice<cudnnConvolutionBwdFilterAlgo_t>& filter(cudnnHandle_t handle);

 private:
  cudnnMathType_t math_;
  Choice<cudnnConvolutionFwdAlgo_t> forward_;
  Choice<cudnnConvolutionBwdDataAlgo_t> data_;
  Choice<cudnnConvolutionBwdFilterAlgo_t> filter_;
};

// Without FMA_MATH, cuDNN would use TF32 on its own.
Plan::Plan(const Shape& xs, const Shape& ws, const Conv2dSpec& s, bool tf32)
    : math_(tf32 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH) {
  describe(x, xs);
  describe(y, conv2d_output_shape(xs, ws, s));
  describe(bias, {1, 1, 1, ws[0]});
  BBAM_CUDNN(cudnnSetFilter4dDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, int(ws[0]),
                                        int(ws[3]), int(ws[1]), int(ws[2])));
  BBAM_CUDNN(cudnnSetConvolution2dDescriptor(conv, s.padding, s.padding, s.stride, s.stride,
                                             s.dilation, s.dilation, CUDNN_CROSS_CORRELATION,
                                             CUDNN_DATA_FLOAT));
  BBAM_CUDNN(cudnnSetConvolutionMathType(conv, math_));
  BBAM_CUDNN(
      cudnnSetActivationDescriptor(identity, CUDNN_ACTIVATION_IDENTITY, CUDNN_PROPAGATE_NAN, 0));
  BBAM_CUDNN(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
}

const Choice<cudnnConvolutionFwdAlgo_t>& Plan::forward(cudnnHandle_t handle) {
  if (forward_.made) return forward_;
  forward_ = choose<cudnnConvolutionFwdAlgoPerf_t>(
      math_,
      [&](int most, int* count, auto* results) {
        return cudnnGetConvolutionForwardAlgorithm_v7(handle, x, w, conv, y, most, count, results);
      },
      [&](auto algorithm, size_t* bytes) {
        return cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, conv, y, algorithm, bytes);
      });
  // The only algorithm that takes an identity for its activation.
  if (forward_.algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
    cannot_fuse[false][false] = cannot_fuse[true][false] = true;
  return forward_;
}

const Choice<cudnnConvolutionBwdDataAlgo_t>& Plan::data(cudnnHandle_t handle) {
  if (data_.made) return data_;
  return data_ = choose<cudnnConvolutionBwdDataAlgoPerf_t>(
             math_,
             [&](int most, int* count, auto* results) {
               return cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, w, y, conv, x, most,
                                                                  count, results);
             },
             [&](auto algorithm, size_t* bytes) {
               return cudnnGetConvolutionBackwardDataWorkspaceSize(handle, w, y, conv, x, algorithm,
                                                                   bytes);
             });
}

const Choice<cudnnConvolutionBwdFilterAlgo_t>& Plan::filter(cudnnHandle_t handle) {
  if (filter_.made) return filter_;
  return filter_ = choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
             math_,
             [&](int most, int* count, auto* results) {
               return cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, x, y, conv, w, most,
                                                                    count, results);
             },
             [&](auto algorithm, size_t* bytes) {
               return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, x, y, conv, w,
                                                                     algorithm, bytes);
             });
}

class CuDnn : public Dnn {
 public:
  const char* name() const override { return "cuDNN"; }

  void conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& e, const Conv2dSpec& spec,
              Tensor& y) override {
    check_conv2d(x, w, y, spec, e);
    if (y.size() == 0 || x.size() == 0) return reference_dnn().conv2d(x, w, e, spec, y);
    const std::lock_guard lock(mutex_);
    const cudnnHandle_t cudnn = handle(y.device());
    Plan& plan = plan_for(x, w, spec);
    const auto& chosen = plan.forward(cudnn);
    if (!chosen.found) return reference_dnn().conv2d(x, w, e, spec, y);
    const ProfileScope scope("conv2d", y.stream(), conv2d_flops(y.shape(), w.shape()),
                             int64_t(x.bytes() + w.bytes() + y.bytes()));
    Tensor workspace = workspace_of(chosen.bytes, y.device());
    if (fused_forward(cudnn, plan, x, w, e, workspace, y)) return;
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionForward(cudnn, &one, plan.x, x.raw(), plan.w, w.raw(), plan.conv,
                                       chosen.algorithm, workspace.mutable_raw(), chosen.bytes,
                                       &zero, plan.y, y.mutable_raw()));
    apply_epilogue(e, y);
  }

  void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                            Tensor& dx) override {
    check_conv2d(dx, w, dy, spec);
    if (dy.size() == 0 || dx.size() == 0)
      return reference_dnn().conv2d_backward_data(dy, w, spec, dx);
    const std::lock_guard lock(mutex_);
    const cudnnHandle_t cudnn = handle(dx.device());
    Plan& plan = plan_for(dx, w, spec);
    const auto& chosen = plan.data(cudnn);
    if (!chosen.found) return reference_dnn().conv2d_backward_data(dy, w, spec, dx);
    const ProfileScope scope("conv2d.dx", dx.stream(), conv2d_flops(dy.shape(), w.shape()),
                             int64_t(dx.bytes() + w.bytes() + dy.bytes()));
    Tensor workspace = workspace_of(chosen.bytes, dx.device());
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionBackwardData(cudnn, &one, plan.w, w.raw(), plan.y, dy.raw(),
                                            plan.conv, chosen.algorithm, workspace.mutable_raw(),
                                            chosen.bytes, &zero, plan.x, dx.mutable_raw()));
  }

  void conv2d_backward_filter(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              Tensor& dw) override {
    check_conv2d(x, dw, dy, spec);
    if (dy.size() == 0 || x.size() == 0) return dw.fill(0);
    const std::lock_guard lock(mutex_);
    const cudnnHandle_t cudnn = handle(dw.device());
    Plan& plan = plan_for(x, dw, spec);
    const auto& chosen = plan.filter(cudnn);
    if (!chosen.found) return reference_dnn().conv2d_backward_filter(x, dy, spec, dw);
    const ProfileScope scope("conv2d.dw", dw.stream(), conv2d_flops(dy.shape(), dw.shape()),
                             int64_t(x.bytes() + dw.bytes() + dy.bytes()));
    Tensor workspace = workspace_of(chosen.bytes, dw.device());
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionBackwardFilter(cudnn, &one, plan.x, x.raw(), plan.y, dy.raw(),
                                              plan.conv, chosen.algorithm, workspace.mutable_raw(),
                                              chosen.bytes, &zero, plan.w, dw.mutable_raw()));
  }

 private:
  // y = act(conv + residual + bias) in one call; false when cuDNN has no kernel for it.
  static bool fused_forward(cudnnHandle_t cudnn, Plan& plan, const Tensor& x, const Tensor& w,
                            const ConvEpilogue& e, Tensor& workspace, Tensor& y) {
    const bool adds = e.residual.defined();
    bool& cannot = plan.cannot_fuse[adds][e.relu];
    if (cannot || !e.bias.defined()) return false;
    const auto& chosen = plan.forward(cudnn);
    const float one = 1, zero = 0;
    void* out = y.mutable_raw();
    cannot = !BBAM_CUDNN_HAS(cudnnConvolutionBiasActivationForward(
        cudnn, &one, plan.x, x.raw(), plan.w, w.raw(), plan.conv, chosen.algorithm,
        workspace.mutable_raw(), chosen.bytes, adds ? &one : &zero, plan.y,
        adds ? e.residual.raw() : out, plan.bias, e.bias.raw(), e.relu ? plan.relu : plan.identity,
        plan.y, out));
    return !cannot;
  }

  cudnnHandle_t handle(Device device) {
    const Stream stream = stream_of(device);  // also makes the device current
    if (const auto found = handles_.find(device.index); found != handles_.end())
      return found->second;
    cudnnHandle_t created = nullptr;
    BBAM_CUDNN(cudnnCreate(&created));
    BBAM_CUDNN(cudnnSetStream(created, static_cast<cudaStream_t>(stream.handle)));
    return handles_[device.index] = created;
  }

  Plan& plan_for(const Tensor& x, const Tensor& w, const Conv2dSpec& s) {
    const bool tf32 = precision() == Precision::kTf32;
    std::vector<int64_t> key{x.device().index, s.stride, s.padding, s.dilation, tf32};
    for (int i = 0; i < 4; ++i) key.insert(key.end(), {x.dim(i), w.dim(i)});
    if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
    if (plans_.size() > 2000) plans_.clear();  // shapes of a long multi-scale run
    return plans_.try_emplace(key, x.shape(), w.shape(), s, tf32).first->second;
  }

  static Tensor workspace_of(size_t bytes, Device device) {
    return Tensor::empty({int64_t(bytes)}, DType::kU8, device);
  }

  // A handle serves one thread at a time: held for each call, which only queues work.
  std::mutex mutex_;
  // Kept until the process ends: the CUDA context may be gone before static destructors run.
  std::map<int, cudnnHandle_t> handles_;
  std::map<std::vector<int64_t>, Plan> plans_;
};

}  // namespace

Dnn& cuda_dnn() {
  static auto& instance = *new CuDnn;
  return instance;
}

}  // namespace bbam
