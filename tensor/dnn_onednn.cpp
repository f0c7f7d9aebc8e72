// Convolution on the CPU by oneDNN, f32, NHWC.
//
// Determinism: oneDNN's forward and backward-data give the same bytes for any number of threads (a
// test holds it to that); its backward-filter does not, because it splits the sum over positions by
// thread. We give each of a fixed number of tasks its own output channels and run oneDNN in one
// thread on each, so nothing is summed across tasks.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <mutex>

#include "tensor/blas.h"
#include "tensor/col2im.h"
#include "tensor/conv_epilogue.h"
#include "tensor/dnn.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

using dnnl::memory;
constexpr auto kF32 = memory::data_type::f32;

enum class Direction { kForward, kData, kFilter };

struct Key {
  Direction direction;
  Shape x, w;
  Conv2dSpec spec;
  bool bias = false, residual = false, relu = false;
  int threads = 0;

  bool operator<(const Key& o) const { return order() < o.order(); }
  std::vector<int64_t> order() const {
    std::vector<int64_t> all{int64_t(direction), spec.stride, spec.padding, spec.dilation, bias,
                             residual,           relu,        threads};
    for (int i = 0; i < 4; ++i) all.insert(all.end(), {x[i], w[i]});
    return all;
  }
};

memory::dims dims(std::initializer_list<int64_t> extents) { return memory::dims(extents); }

// The memory descriptions of one convolution, in oneDNN's logical NCHW order.
struct Descriptions {
  memory::desc x, w_any, w_ours, y, bias;
  memory::dims strides, dilations, padding_l, padding_r;

  Descriptions(const Shape& xs, const Shape& ws, const Conv2dSpec& s) {
    const Shape ys = conv2d_output_shape(xs, ws, s);
    using tag = memory::format_tag;
    x = {dims({xs[0], xs[3], xs[1], xs[2]}), kF32, tag::nhwc};
    y = {dims({ys[0], ys[3], ys[1], ys[2]}), kF32, tag::nhwc};
    w_any = {dims({ws[0], ws[3], ws[1], ws[2]}), kF32, tag::any};
    w_ours = {dims({ws[0], ws[3], ws[1], ws[2]}), kF32, tag::ohwi};
    bias = {dims({ws[0]}), kF32, tag::x};
    strides = {s.stride, s.stride};
    dilations = {s.dilation - 1, s.dilation - 1};
    padding_l = {s.padding, s.padding};
    const auto right = [&](int64_t in, int64_t out, int64_t kernel) {
      return (out - 1) * s.stride + s.dilation * (kernel - 1) + 1 - in - s.padding;
    };
    padding_r = {right(xs[1], ys[1], ws[1]), right(xs[2], ys[2], ws[2])};
  }
};

// A primitive with what is needed to run it; immutable once made, so any thread may execute it.
struct Plan {
  dnnl::primitive primitive;
  memory::desc weights, scratchpad;
};

struct Engine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

// oneDNN decides how many threads a primitive uses when it is made.
class ThreadsForPlanning {
 public:
  explicit ThreadsForPlanning(int count) : before_(omp_get_max_threads()) {
    omp_set_num_threads(count);
  }
  ~ThreadsForPlanning() { omp_set_num_threads(before_); }

 private:
  int before_;
};

Plan make_plan(const Key& key, const dnnl::engine& engine) {
  const Descriptions d(key.x, key.w, key.spec);
  const auto direct = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops post;
  if (key.residual) post.append_binary(dnnl::algorithm::binary_add, d.y);
  if (key.relu) post.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
  attr.set_post_ops(post);

  using Forward = dnnl::convolution_forward;
  const memory::desc bias = key.bias ? d.bias : memory::desc();
  const Forward::desc forward_desc(dnnl::prop_kind::forward_training, direct, d.x, d.w_any, bias,
                                   d.y, d.strides, d.dilations, d.padding_l, d.padding_r);
  const Forward::primitive_desc forward(forward_desc, attr, engine);
  if (key.direction == Direction::kForward)
    return {Forward(forward), forward.weights_desc(), forward.scratchpad_desc()};
  if (key.direction == Direction::kData) {
    using Data = dnnl::convolution_backward_data;
    const Data::desc desc(direct, d.x, d.w_any, d.y, d.strides, d.dilations, d.padding_l,
                          d.padding_r);
    const Data::primitive_desc primitive(desc, attr, engine, forward);
    return {Data(primitive), primitive.weights_desc(), primitive.scratchpad_desc()};
  }
  using Filter = dnnl::convolution_backward_weights;
  const Filter::desc desc(direct, d.x, d.w_any, d.y, d.strides, d.dilations, d.padding_l,
                          d.padding_r);
  const Filter::primitive_desc primitive(desc, attr, engine, forward);
  return {Filter(primitive), primitive.diff_weights_desc(), primitive.scratchpad_desc()};
}

class OneDnn : public Dnn {
 public:
  const char* name() const override { return "oneDNN"; }

  void conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& e, const Conv2dSpec& spec,
              Tensor& y) override {
    check_conv2d(x, w, y, spec, e);
    if (y.size() == 0 || x.size() == 0) return reference_dnn().conv2d(x, w, e, spec, y);
    const ProfileScope scope("conv2d", y.stream(), conv2d_flops(y.shape(), w.shape()),
                             int64_t(x.bytes() + w.bytes() + y.bytes()));
    // oneDNN 2.6 spoils a residual fused to a dilated convolution where taps leave the image.
    if (spec.dilation > 1 && e.residual.defined()) {
      run_conv2d(x, w, {}, spec, y);
      apply_epilogue(e, y);
    } else {
      run_conv2d(x, w, e, spec, y);
    }
  }

  void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                            Tensor& dx) override {
    check_conv2d(dx, w, dy, spec);
    if (dy.size() == 0 || dx.size() == 0)
      return reference_dnn().conv2d_backward_data(dy, w, spec, dx);
    const ProfileScope scope("conv2d.dx", dx.stream(), conv2d_flops(dy.shape(), w.shape()),
                             int64_t(dx.bytes() + w.bytes() + dy.bytes()));
    // oneDNN's backward-data leaves most of its vectors empty for the three channels of an image.
    if (w.dim(3) < 16) return backward_data_by_gemm(dy, w, spec, dx);
    const Key key{Direction::kData, dx.shape(), w.shape(), spec, false, false, false, threads()};
    const Plan plan = plan_for(key);
    const Descriptions d(dx.shape(), w.shape(), spec);
    const Tensor packed = packed_weights(w, d, plan);
    dx.mutable_raw();
    execute(plan, {{DNNL_ARG_DIFF_DST, wrap(d.y, dy)},
                   {DNNL_ARG_WEIGHTS, wrap(plan.weights, packed)},
                   {DNNL_ARG_DIFF_SRC, wrap(d.x, dx)}});
  }

  void conv2d_backward_filter(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              Tensor& dw) override {
    check_conv2d(x, dw, dy, spec);
    if (dy.size() == 0 || x.size() == 0) return dw.fill(0);
    const ProfileScope scope("conv2d.dw", dw.stream(), conv2d_flops(dy.shape(), dw.shape()),
                             int64_t(x.bytes() + dw.bytes() + dy.bytes()));
    const int64_t channels = dw.dim(0), step = filter_step(channels);
    const int64_t tasks = (channels + step - 1) / step;
    float* out = dw.mutable_data<float>();
    const int64_t row = dw.size() / channels;
    std::exception_ptr error;
#pragma omp parallel for schedule(dynamic) if (tasks > 1)
    for (int64_t task = 0; task < tasks; ++task) {
      try {
        const int64_t begin = task * step, end = std::min(begin + step, channels);
        filter_slice(x, dy, spec, dw.shape(), begin, end, out + begin * row);
      } catch (...) {
#pragma omp critical
        error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
  }

 private:
  void run_conv2d(const Tensor& x, const Tensor& w, const ConvEpilogue& e, const Conv2dSpec& spec,
                  Tensor& y) {
    const Key key{Direction::kForward,  x.shape(), w.shape(), spec, e.bias.defined(),
                  e.residual.defined(), e.relu,    threads()};
    const Plan plan = plan_for(key);
    const Descriptions d(x.shape(), w.shape(), spec);
    const Tensor packed = packed_weights(w, d, plan);
    std::unordered_map<int, memory> args{{DNNL_ARG_SRC, wrap(d.x, x)},
                                         {DNNL_ARG_WEIGHTS, wrap(plan.weights, packed)},
                                         {DNNL_ARG_DST, wrap(d.y, y)}};
    if (key.bias) args.emplace(DNNL_ARG_BIAS, wrap(d.bias, e.bias));
    if (key.residual)
      args.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, wrap(d.y, e.residual));
    y.mutable_raw();
    execute(plan, std::move(args));
  }

  // Output channels per task: a multiple of the vector width, about eight tasks.
  static int64_t filter_step(int64_t channels) {
    return std::max<int64_t>(16, (channels / 8 + 15) / 16 * 16);
  }

  // dw[begin:end] from the same channels of dy, in this thread alone.
  void filter_slice(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec, const Shape& w,
                    int64_t begin, int64_t end, float* out) {
    const Shape slice_w{end - begin, w[1], w[2], w[3]};
    const Key key{Direction::kFilter, x.shape(), slice_w, spec, false, false, false, 1};
    const Plan plan = plan_for(key);
    const Descriptions d(x.shape(), slice_w, spec);
    const Tensor slice = end - begin == w[0] ? dy : channel_slice(dy, begin, end);
    Tensor packed = buffer(plan.weights);
    execute(plan, {{DNNL_ARG_SRC, wrap(d.x, x)},
                   {DNNL_ARG_DIFF_DST, wrap(d.y, slice)},
                   {DNNL_ARG_DIFF_WEIGHTS, wrap(plan.weights, packed)}});
    memory from = wrap(plan.weights, packed), to(d.w_ours, engine_.engine, out);
    reorder(from, to);
  }

  static Tensor channel_slice(const Tensor& dy, int64_t begin, int64_t end) {
    const int64_t channels = dy.dim(3), positions = dy.size() / channels, width = end - begin;
    Tensor slice = Tensor::empty({dy.dim(0), dy.dim(1), dy.dim(2), width});
    const float* from = dy.data<float>() + begin;
    float* to = slice.mutable_data<float>();
    for (int64_t p = 0; p < positions; ++p)
      std::memcpy(to + p * width, from + p * channels, size_t(width) * sizeof(float));
    return slice;
  }

  Plan plan_for(const Key& key) {
    const std::lock_guard lock(mutex_);
    if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
    if (plans_.size() > 2000) plans_.clear();  // shapes of a long multi-scale run
    const ThreadsForPlanning planning(key.threads);
    return plans_.emplace(key, make_plan(key, engine_.engine)).first->second;
  }

  Tensor buffer(const memory::desc& desc) const {
    return Tensor::empty({int64_t(desc.get_size() + sizeof(float) - 1) / int64_t(sizeof(float))});
  }

  // The weights in the plan's own layout. Kept as long as the weights live and are not written to,
  // so a frozen network packs once.
  Tensor packed_weights(const Tensor& w, const Descriptions& d, const Plan& plan) {
    if (plan.weights == d.w_ours) return w;
    const std::vector<char> layout(reinterpret_cast<const char*>(&plan.weights.data),
                                   reinterpret_cast<const char*>(&plan.weights.data + 1));
    const Tensor::Identity identity = w.identity();
    {
      const std::lock_guard lock(mutex_);
      const auto found = packed_.find({identity, layout});
      if (found != packed_.end()) return found->second.packed;
    }
    Tensor packed = buffer(plan.weights);
    memory from = wrap(d.w_ours, w), to = wrap(plan.weights, packed);
    reorder(from, to);
    const std::lock_guard lock(mutex_);
    if (packed_.size() >= next_sweep_) drop_stale();
    packed_.insert_or_assign({identity, layout}, Packed{packed, w.lifetime()});
    return packed;
  }

  // Forgets packed copies of weights that are gone or have been written to since.
  void drop_stale() {
    std::map<uint64_t, uint64_t> newest;
    for (const auto& [key, entry] : packed_)
      newest[key.first.storage] = std::max(newest[key.first.storage], key.first.version);
    std::erase_if(packed_, [&](const auto& item) {
      const Tensor::Identity& id = item.first.first;
      return item.second.lifetime.expired() || id.version != newest[id.storage];
    });
    next_sweep_ = std::max<size_t>(256, 2 * packed_.size());
  }

  // dx = fold(dy w): one product and a gather.
  void backward_data_by_gemm(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             Tensor& dx) {
    const int64_t positions = dy.size() / dy.dim(3), taps = w.size() / w.dim(0);
    Tensor columns = Tensor::empty({positions, taps});
    cpu_blas().gemm(dy.reshape({positions, dy.dim(3)}), w.reshape({w.dim(0), taps}), columns, {});
    col2im(columns, w.shape(), spec, dy.shape(), dx);
  }

  memory wrap(const memory::desc& desc, const Tensor& tensor) const {
    return {desc, engine_.engine, const_cast<void*>(tensor.raw())};
  }

  void reorder(memory& from, memory& to) {
    dnnl::reorder(from, to).execute(engine_.stream, from, to);
  }

  void execute(const Plan& plan, std::unordered_map<int, memory> args) {
    Tensor scratch;
    if (plan.scratchpad.get_size() > 0) {
      scratch = buffer(plan.scratchpad);
      args.emplace(DNNL_ARG_SCRATCHPAD, wrap(plan.scratchpad, scratch));
    }
    plan.primitive.execute(engine_.stream, args);
  }

  struct Packed {
    Tensor packed;
    std::weak_ptr<const void> lifetime;
  };

  Engine engine_;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;
  std::map<std::pair<Tensor::Identity, std::vector<char>>, Packed> packed_;
  size_t next_sweep_ = 256;
};

}  // namespace

Dnn& cpu_dnn() {
  static OneDnn instance;
  return instance;
}

}  // namespace bbam
