#include "layers/resnet.h"

#include <array>

#include "layers/batch_norm.h"
#include "layers/elementwise.h"
#include "layers/group_norm.h"
#include "layers/pool2d.h"

namespace bbam {
namespace {

struct Layout {
  bool bottleneck;
  int blocks[4];
};

Layout layout_of(int depth) {
  switch (depth) {
    case 18: return {false, {2, 2, 2, 2}};
    case 34: return {false, {3, 4, 6, 3}};
    case 50: return {true, {3, 4, 6, 3}};
    case 101: return {true, {3, 4, 23, 3}};
    case 152: return {true, {3, 8, 36, 3}};
  }
  fail("ResNet-", depth, " is not known; expected depth 18, 34, 50, 101 or 152");
}

}  // namespace

ConvNorm::ConvNorm(Tensor weight_value, Conv2dSpec conv_spec, const ResNetSpec& spec)
    : weight(std::move(weight_value), true), spec(conv_spec), norm(spec.norm), groups(spec.groups),
      epsilon(spec.epsilon) {
  const Shape channels{weight.dim(0)};
  const bool trained = norm != Norm::kFrozen;
  gamma = Variable(Tensor::full(channels, 1), trained);
  beta = Variable(Tensor::zeros(channels), trained);
  if (norm == Norm::kGroup) return;
  running_mean = Variable(Tensor::zeros(channels));
  running_var = Variable(Tensor::full(channels, 1));
}

void ConvNorm::refold() {
  const bool folds_weight = !weight.needs_grad();
  std::vector<Tensor::Identity> sources;
  for (const Variable* source : {&gamma, &beta, &running_mean, &running_var})
    sources.push_back(source->value().identity());
  if (folds_weight) sources.push_back(weight.value().identity());
  if (sources == folded_.sources) return;
  const auto [scale, shift] = frozen_scale_shift(gamma.value(), beta.value(), running_mean.value(),
                                                 running_var.value(), epsilon);
  const Variable per_row(scale.reshape({scale.dim(0), 1, 1, 1}));
  folded_ = {sources, per_row.value(), shift,
             folds_weight ? mul(weight, per_row).value() : Tensor()};
}

// norm(conv(x, w)) = conv(x, w * scale) + shift: one pass, in training as well.
Variable ConvNorm::forward_frozen(const Variable& x, bool relu, const Variable& residual) {
  refold();
  const Variable w =
      weight.needs_grad() ? mul(weight, Variable(folded_.scale)) : Variable(folded_.weight);
  return conv2d(x, w, spec, {.bias = Variable(folded_.shift), .residual = residual, .relu = relu});
}

Variable ConvNorm::forward(const Variable& x, bool relu, const Variable& residual) {
  if (norm == Norm::kFrozen) return forward_frozen(x, relu, residual);
  Variable y = conv2d(x, weight, spec);
  const bool of_batch = training && gamma.needs_grad();
  y = norm == Norm::kGroup ? group_norm(y, groups, gamma, beta, epsilon)
                           : batch_norm(y, gamma, beta, running_mean.mutable_value(),
                                        running_var.mutable_value(), of_batch, 0.1, epsilon);
  if (residual.defined()) y = add(y, residual);
  return relu ? bbam::relu(y) : y;
}

void ConvNorm::visit_as(const std::string& conv, const std::string& bn, const ParameterVisitor& f) {
  f(conv + ".weight", weight);
  f(bn + ".weight", gamma);
  f(bn + ".bias", beta);
  if (!running_mean.defined()) return;
  f(bn + ".running_mean", running_mean);
  f(bn + ".running_var", running_var);
}

void ConvNorm::visit(const std::string& prefix, const ParameterVisitor& f) {
  visit_as(prefix + "conv", prefix + "bn", f);
}

Variable ResidualBlock::forward(const Variable& x) {
  const Variable residual = has_shortcut ? shortcut.forward(x, false) : x;
  Variable y = x;
  for (size_t i = 0; i + 1 < convs.size(); ++i) y = convs[i].forward(y, true);
  return convs.back().forward(y, true, residual);
}

namespace {

// How a residual block looks at its input.
struct Sampling {
  int stride = 1, dilation = 1;
};

// Of the first blocks of res2..res5; the others have the same dilation and stride 1.
std::array<Sampling, 4> stage_sampling(int output_stride) {
  check(output_stride == 8 || output_stride == 16 || output_stride == 32, "ResNet: output stride ",
        output_stride, "; expected 8, 16 or 32");
  std::array<Sampling, 4> stages;
  int reached = 4;  // after the stem
  for (int stage = 1; stage < 4; ++stage) {
    stages[size_t(stage)].dilation = stages[size_t(stage) - 1].dilation;
    if (reached < output_stride) {
      stages[size_t(stage)].stride = 2;
      reached *= 2;
    } else {
      stages[size_t(stage)].dilation *= 2;
    }
  }
  return stages;
}

// A 1x1 convolution reads one pixel whatever the dilation.
ConvNorm conv_norm(int64_t in, int64_t out, int kernel, Sampling sampling, const ResNetSpec& spec,
                   Initializer& init) {
  const int dilation = kernel == 1 ? 1 : sampling.dilation;
  return {init.he_normal({out, kernel, kernel, in}),
          {.stride = sampling.stride, .padding = dilation * (kernel / 2), .dilation = dilation},
          spec};
}

ResidualBlock make_block(int64_t in, int64_t width, Sampling sampling, bool bottleneck,
                         const ResNetSpec& spec, Initializer& init) {
  ResidualBlock block;
  const Sampling dense{.dilation = sampling.dilation};
  const int64_t out = bottleneck ? 4 * width : width;
  if (bottleneck) {
    block.convs.push_back(
        conv_norm(in, width, 1, spec.stride_in_1x1 ? sampling : dense, spec, init));
    block.convs.push_back(
        conv_norm(width, width, 3, spec.stride_in_1x1 ? dense : sampling, spec, init));
    block.convs.push_back(conv_norm(width, out, 1, dense, spec, init));
  } else {
    block.convs.push_back(conv_norm(in, width, 3, sampling, spec, init));
    block.convs.push_back(conv_norm(width, out, 3, dense, spec, init));
  }
  block.has_shortcut = sampling.stride != 1 || in != out;
  if (block.has_shortcut) block.shortcut = conv_norm(in, out, 1, sampling, spec, init);
  return block;
}

}  // namespace

ResNet::ResNet(const ResNetSpec& spec, Initializer& init) : spec_(spec) {
  const Layout layout = layout_of(spec.depth);
  const std::array<Sampling, 4> sampling = stage_sampling(spec.output_stride);
  stem_ = conv_norm(3, spec.stem_width, 7, {.stride = 2}, spec, init);
  int64_t in = spec.stem_width;
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t(spec.stem_width) << stage;
    std::vector<ResidualBlock> blocks;
    for (int b = 0; b < layout.blocks[stage]; ++b) {
      Sampling of_block = sampling[size_t(stage)];
      if (b > 0) of_block.stride = 1;
      blocks.push_back(make_block(in, width, of_block, layout.bottleneck, spec, init));
      in = layout.bottleneck ? 4 * width : width;
    }
    stages_.push_back(std::move(blocks));
  }
}

std::vector<Variable> ResNet::forward(const Variable& images) {
  check_shape(images.value(), {-1, -1, -1, 3}, "ResNet: images");
  Variable x = stem_.forward(images, true);
  x = max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = spec_.ceil_mode_pool});
  std::vector<Variable> features;
  for (auto& blocks : stages_) {
    for (ResidualBlock& block : blocks) x = block.forward(x);
    features.push_back(x);
  }
  return features;
}

std::vector<int> ResNet::widths() const {
  const int expansion = layout_of(spec_.depth).bottleneck ? 4 : 1,
            base = spec_.stem_width * expansion;
  return {base, 2 * base, 4 * base, 8 * base};
}

template <class F>
void ResNet::each_conv(F&& f) {
  f(stem_, 1);
  for (size_t stage = 0; stage < stages_.size(); ++stage)
    for (ResidualBlock& block : stages_[stage]) {
      for (ConvNorm& conv : block.convs) f(conv, int(stage) + 2);
      if (block.has_shortcut) f(block.shortcut, int(stage) + 2);
    }
}

void ResNet::freeze_stages(int stages) {
  check(stages >= 0 && stages <= 5, "freeze_stages(", stages, "); expected 0 to 5");
  each_conv([&](ConvNorm& conv, int stage) {
    if (stage > stages) return;
    for (Variable* variable : {&conv.weight, &conv.gamma, &conv.beta})
      variable->set_needs_grad(false);
  });
}

void ResNet::set_training(bool training) {
  each_conv([&](ConvNorm& conv, int) { conv.training = training; });
}

void ResNet::visit(const std::string& prefix, const ParameterVisitor& f) {
  stem_.visit_as(prefix + "conv1", prefix + "bn1", f);
  for (size_t stage = 0; stage < stages_.size(); ++stage)
    for (size_t b = 0; b < stages_[stage].size(); ++b) {
      ResidualBlock& block = stages_[stage][b];
      const std::string name = join(prefix, "layer", stage + 1, ".", b, ".");
      for (size_t i = 0; i < block.convs.size(); ++i)
        block.convs[i].visit_as(join(name, "conv", i + 1), join(name, "bn", i + 1), f);
      if (block.has_shortcut)
        block.shortcut.visit_as(name + "downsample.0", name + "downsample.1", f);
    }
}

}  // namespace bbam
