// Convolution on CUDA by cuDNN, f32, NHWC. Only algorithms that cuDNN calls deterministic are
// taken.
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
  check(status == CUDNN_STATUS_SUCCESS, __FILE__, ":", line, ": ", call, ": ",
        cudnnGetErrorString(status));
}
#define BBAM_CUDNN(call) check_status((call), #call, __LINE__)

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

// One convolution shape: its descriptors and the algorithm for each direction, chosen once.
struct Plan {
  TensorDescriptor x, y, bias;
  FilterDescriptor w;
  ConvDescriptor conv;
  ActivationDescriptor identity, relu;
  cudnnConvolutionFwdAlgo_t forward{};
  cudnnConvolutionBwdDataAlgo_t data{};
  cudnnConvolutionBwdFilterAlgo_t filter{};
  size_t forward_bytes = 0, data_bytes = 0, filter_bytes = 0;
  bool fuses = true;  // until cuDNN says that it cannot

  Plan(cudnnHandle_t handle, const Shape& xs, const Shape& ws, const Conv2dSpec& s, bool tf32);

 private:
  void choose(cudnnHandle_t handle);
};

Plan::Plan(cudnnHandle_t handle, const Shape& xs, const Shape& ws, const Conv2dSpec& s, bool tf32) {
  describe(x, xs);
  describe(y, conv2d_output_shape(xs, ws, s));
  describe(bias, {1, 1, 1, ws[0]});
  BBAM_CUDNN(cudnnSetFilter4dDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, int(ws[0]),
                                        int(ws[3]), int(ws[1]), int(ws[2])));
  BBAM_CUDNN(cudnnSetConvolution2dDescriptor(conv, s.padding, s.padding, s.stride, s.stride,
                                             s.dilation, s.dilation, CUDNN_CROSS_CORRELATION,
                                             CUDNN_DATA_FLOAT));
  // Without FMA_MATH, cuDNN would use TF32 on its own.
  BBAM_CUDNN(cudnnSetConvolutionMathType(conv, tf32 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH));
  BBAM_CUDNN(cudnnSetActivationDescriptor(identity, CUDNN_ACTIVATION_IDENTITY,
                                          CUDNN_NOT_PROPAGATE_NAN, 0));
  BBAM_CUDNN(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_NOT_PROPAGATE_NAN, 0));
  choose(handle);
}

// The fastest by cuDNN's heuristics among the deterministic ones.
template <class Perf>
const Perf& first_deterministic(const std::vector<Perf>& results, int count,
                                const char* direction) {
  for (int i = 0; i < count; ++i)
    if (results[size_t(i)].status == CUDNN_STATUS_SUCCESS &&
        results[size_t(i)].determinism == CUDNN_DETERMINISTIC)
      return results[size_t(i)];
  fail("cuDNN has no deterministic algorithm for a convolution's ", direction);
}

void Plan::choose(cudnnHandle_t handle) {
  constexpr int kMost = 16;
  int count = 0;
  std::vector<cudnnConvolutionFwdAlgoPerf_t> f(kMost);
  BBAM_CUDNN(
      cudnnGetConvolutionForwardAlgorithm_v7(handle, x, w, conv, y, kMost, &count, f.data()));
  const auto& chosen_forward = first_deterministic(f, count, "forward pass");
  forward = chosen_forward.algo;
  forward_bytes = chosen_forward.memory;
  std::vector<cudnnConvolutionBwdDataAlgoPerf_t> d(kMost);
  BBAM_CUDNN(
      cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, w, y, conv, x, kMost, &count, d.data()));
  const auto& chosen_data = first_deterministic(d, count, "backward pass to the data");
  data = chosen_data.algo;
  data_bytes = chosen_data.memory;
  std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> b(kMost);
  BBAM_CUDNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, x, y, conv, w, kMost, &count,
                                                           b.data()));
  const auto& chosen_filter = first_deterministic(b, count, "backward pass to the filter");
  filter = chosen_filter.algo;
  filter_bytes = chosen_filter.memory;
}

class CuDnn : public Dnn {
 public:
  const char* name() const override { return "cuDNN"; }

  void conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& e, const Conv2dSpec& spec,
              Tensor& y) override {
    check_conv2d(x, w, y, spec, e);
    if (y.size() == 0 || x.size() == 0) return reference_dnn().conv2d(x, w, e, spec, y);
    const ProfileScope scope("conv2d", y.stream(), conv2d_flops(y.shape(), w.shape()),
                             int64_t(x.bytes() + w.bytes() + y.bytes()));
    Plan& plan = plan_for(x, w, spec);
    const Tensor workspace = workspace_of(plan.forward_bytes, y.device());
    if (plan.fuses && fused_forward(plan, x, w, e, workspace, y)) return;
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionForward(handle(y.device()), &one, plan.x, x.raw(), plan.w, w.raw(),
                                       plan.conv, plan.forward, const_cast<void*>(workspace.raw()),
                                       plan.forward_bytes, &zero, plan.y, y.mutable_raw()));
    apply_epilogue(e, y);
  }

  void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                            Tensor& dx) override {
    check_conv2d(dx, w, dy, spec);
    if (dy.size() == 0 || dx.size() == 0)
      return reference_dnn().conv2d_backward_data(dy, w, spec, dx);
    const ProfileScope scope("conv2d.dx", dx.stream(), conv2d_flops(dy.shape(), w.shape()),
                             int64_t(dx.bytes() + w.bytes() + dy.bytes()));
    const Plan& plan = plan_for(dx, w, spec);
    const Tensor workspace = workspace_of(plan.data_bytes, dx.device());
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionBackwardData(
        handle(dx.device()), &one, plan.w, w.raw(), plan.y, dy.raw(), plan.conv, plan.data,
        const_cast<void*>(workspace.raw()), plan.data_bytes, &zero, plan.x, dx.mutable_raw()));
  }

  void conv2d_backward_filter(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              Tensor& dw) override {
    check_conv2d(x, dw, dy, spec);
    if (dy.size() == 0 || x.size() == 0) return dw.fill(0);
    const ProfileScope scope("conv2d.dw", dw.stream(), conv2d_flops(dy.shape(), dw.shape()),
                             int64_t(x.bytes() + dw.bytes() + dy.bytes()));
    const Plan& plan = plan_for(x, dw, spec);
    const Tensor workspace = workspace_of(plan.filter_bytes, dw.device());
    const float one = 1, zero = 0;
    BBAM_CUDNN(cudnnConvolutionBackwardFilter(
        handle(dw.device()), &one, plan.x, x.raw(), plan.y, dy.raw(), plan.conv, plan.filter,
        const_cast<void*>(workspace.raw()), plan.filter_bytes, &zero, plan.w, dw.mutable_raw()));
  }

 private:
  // y = act(conv + residual + bias) in one call; false when cuDNN has no kernel for it.
  bool fused_forward(Plan& plan, const Tensor& x, const Tensor& w, const ConvEpilogue& e,
                     const Tensor& workspace, Tensor& y) {
    if (!e.bias.defined()) return false;
    const float one = 1, zero = 0;
    const bool adds = e.residual.defined();
    void* out = y.mutable_raw();
    const cudnnStatus_t status = cudnnConvolutionBiasActivationForward(
        handle(y.device()), &one, plan.x, x.raw(), plan.w, w.raw(), plan.conv, plan.forward,
        const_cast<void*>(workspace.raw()), plan.forward_bytes, adds ? &one : &zero, plan.y,
        adds ? e.residual.raw() : out, plan.bias, e.bias.raw(), e.relu ? plan.relu : plan.identity,
        plan.y, out);
    plan.fuses = status == CUDNN_STATUS_SUCCESS;
    return plan.fuses;
  }

  cudnnHandle_t handle(Device device) {
    auto [entry, is_new] = handles_.try_emplace(device.index, nullptr);
    const Stream stream = stream_of(device);  // also makes the device current
    if (is_new) {
      BBAM_CUDNN(cudnnCreate(&entry->second));
      BBAM_CUDNN(cudnnSetStream(entry->second, static_cast<cudaStream_t>(stream.handle)));
    }
    return entry->second;
  }

  Plan& plan_for(const Tensor& x, const Tensor& w, const Conv2dSpec& s) {
    const bool tf32 = precision() == Precision::kTf32;
    std::vector<int64_t> key{x.device().index, s.stride, s.padding, s.dilation, tf32};
    for (int i = 0; i < 4; ++i) key.insert(key.end(), {x.dim(i), w.dim(i)});
    auto& plan = plans_[key];
    if (!plan) plan = std::make_unique<Plan>(handle(x.device()), x.shape(), w.shape(), s, tf32);
    return *plan;
  }

  static Tensor workspace_of(size_t bytes, Device device) {
    return Tensor::empty({int64_t(bytes)}, DType::kU8, device);
  }

  // Kept until the process ends: the CUDA context may be gone before static destructors run.
  std::map<int, cudnnHandle_t> handles_;
  std::map<std::vector<int64_t>, std::unique_ptr<Plan>> plans_;
};

}  // namespace

Dnn& cuda_dnn() {
  static auto& instance = *new CuDnn;
  return instance;
}

}  // namespace bbam
