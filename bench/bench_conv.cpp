// The convolutions of ResNet-50-FPN on a picture of 512 x 683, ours against raw oneDNN calls of the
// same shapes: NHWC, weights packed beforehand, bias and ReLU fused, as in a frozen network.
#include <fmt/format.h>

#include <dnnl.hpp>

#include "bench/pair.h"
#include "tensor/dnn.h"

namespace bbam::bench {
namespace {

struct Layer {
  const char* name;
  int64_t h, w, cin, cout;
  int kernel;
  Conv2dSpec spec;
  int count;  // how often it stands in the trunk
};

const Layer kTrunk[]{
    {"stem 7x7/2", 512, 683, 3, 64, 7, {.stride = 2, .padding = 3}, 1},
    {"res2 1x1 64>64", 128, 171, 64, 64, 1, {}, 1},
    {"res2 1x1 256>64", 128, 171, 256, 64, 1, {}, 2},
    {"res2 3x3 64", 128, 171, 64, 64, 3, {.padding = 1}, 3},
    {"res2 1x1 64>256", 128, 171, 64, 256, 1, {}, 4},
    {"res3 1x1/2 256>128", 128, 171, 256, 128, 1, {.stride = 2}, 1},
    {"res3 1x1/2 256>512", 128, 171, 256, 512, 1, {.stride = 2}, 1},
    {"res3 1x1 512>128", 64, 86, 512, 128, 1, {}, 3},
    {"res3 3x3 128", 64, 86, 128, 128, 3, {.padding = 1}, 4},
    {"res3 1x1 128>512", 64, 86, 128, 512, 1, {}, 4},
    {"res4 1x1/2 512>256", 64, 86, 512, 256, 1, {.stride = 2}, 1},
    {"res4 1x1/2 512>1024", 64, 86, 512, 1024, 1, {.stride = 2}, 1},
    {"res4 1x1 1024>256", 32, 43, 1024, 256, 1, {}, 5},
    {"res4 3x3 256", 32, 43, 256, 256, 3, {.padding = 1}, 6},
    {"res4 1x1 256>1024", 32, 43, 256, 1024, 1, {}, 6},
    {"res5 1x1/2 1024>512", 32, 43, 1024, 512, 1, {.stride = 2}, 1},
    {"res5 1x1/2 1024>2048", 32, 43, 1024, 2048, 1, {.stride = 2}, 1},
    {"res5 1x1 2048>512", 16, 22, 2048, 512, 1, {}, 2},
    {"res5 3x3 512", 16, 22, 512, 512, 3, {.padding = 1}, 3},
    {"res5 1x1 512>2048", 16, 22, 512, 2048, 1, {}, 3},
    {"fpn 1x1 2048>256", 16, 22, 2048, 256, 1, {}, 1},
    {"fpn 3x3 P3", 64, 86, 256, 256, 3, {.padding = 1}, 1},
    {"fpn 3x3 P2", 128, 171, 256, 256, 3, {.padding = 1}, 1},
};

using dnnl::memory;

// One forward convolution in oneDNN's own terms.
class RawConvolution {
 public:
  RawConvolution(const Layer& l, const Tensor& x, const Tensor& w, const Tensor& bias, Tensor& y)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using tag = memory::format_tag;
    constexpr auto f32 = memory::data_type::f32;
    const memory::dims xs{1, l.cin, l.h, l.w}, ws{l.cout, l.cin, l.kernel, l.kernel};
    const memory::dims ys{1, l.cout, y.dim(1), y.dim(2)}, strides{l.spec.stride, l.spec.stride};
    const memory::dims pad{l.spec.padding, l.spec.padding};
    const memory::desc x_desc(xs, f32, tag::nhwc), y_desc(ys, f32, tag::nhwc);
    const memory::desc any(ws, f32, tag::any), ours(ws, f32, tag::ohwi),
        b_desc({l.cout}, f32, tag::x);
    dnnl::post_ops post;
    post.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    dnnl::primitive_attr attr;
    attr.set_post_ops(post);
    const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                               dnnl::algorithm::convolution_direct, x_desc, any,
                                               b_desc, y_desc, strides, pad, pad);
    const dnnl::convolution_forward::primitive_desc chosen(desc, attr, engine_);
    memory from(ours, engine_, const_cast<void*>(w.raw())), packed(chosen.weights_desc(), engine_);
    dnnl::reorder(from, packed).execute(stream_, from, packed);
    primitive_ = dnnl::convolution_forward(chosen);
    arguments_ = {{DNNL_ARG_SRC, memory(x_desc, engine_, const_cast<void*>(x.raw()))},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_BIAS, memory(b_desc, engine_, const_cast<void*>(bias.raw()))},
                  {DNNL_ARG_DST, memory(y_desc, engine_, y.mutable_raw())}};
  }
  void operator()() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
};

}  // namespace

nlohmann::json bench_convolutions() {
  fmt::print("\nconvolutions of ResNet-50-FPN at 512 x 683, forward, ours against raw oneDNN\n");
  fmt::print("{:<22} {:>3} {:>9} {:>9} {:>10} {:>7}\n", "layer", "n", "ours ms", "raw ms",
             "GFLOP/s", "ratio");
  double ours_ms = 0, raw_ms = 0, gflop = 0;
  for (const Layer& l : kTrunk) {
    const Tensor x = Tensor::full({1, l.h, l.w, l.cin}, 0.5), bias = Tensor::full({l.cout}, 0.1);
    const Tensor w = Tensor::full({l.cout, l.kernel, l.kernel, l.cin}, 0.01);
    Tensor y = Tensor::empty(conv2d_output_shape(x.shape(), w.shape(), l.spec));
    Tensor y_raw = Tensor::empty_like(y);
    RawConvolution raw(l, x, w, bias, y_raw);
    const ConvEpilogue epilogue{.bias = bias, .relu = true};
    const Pair pair =
        time_pair([&] { cpu_dnn().conv2d(x, w, epilogue, l.spec, y); }, [&] { raw(); });
    const double layer_gflop = 1e-9 * double(conv2d_flops(y.shape(), w.shape()));
    fmt::print("{:<22} {:>3} {:>9.3f} {:>9.3f} {:>10.1f} {:>7.2f}\n", l.name, l.count,
               pair.ours.median_ms, pair.peer.median_ms, 1e3 * layer_gflop / pair.ours.median_ms,
               pair.ratio());
    ours_ms += l.count * pair.ours.median_ms;
    raw_ms += l.count * pair.peer.median_ms;
    gflop += l.count * layer_gflop;
  }
  fmt::print("{:<22} {:>3} {:>9.3f} {:>9.3f} {:>10.1f} {:>7.2f}   (target 0.90)\n", "all", "",
             ours_ms, raw_ms, 1e3 * gflop / ours_ms, raw_ms / ours_ms);
  return {{"ours_ms", ours_ms},
          {"raw_onednn_ms", raw_ms},
          {"gflop", gflop},
          {"ratio", raw_ms / ours_ms}};
}

}  // namespace bbam::bench
