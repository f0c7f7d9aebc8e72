#include "segmenters/deeplab.h"

#include <algorithm>
#include <cmath>

#include "layers/elementwise.h"
#include "layers/resize.h"
#include "layers/shape_ops.h"

namespace bbam {
namespace {

const DeepLabSpec& checked(const DeepLabSpec& spec) {
  check(spec.classes >= 2 && spec.classes <= kIgnoredLabel, "DeepLab: ", spec.classes,
        " classes; expected 2 (with background) to ", kIgnoredLabel);
  check(!spec.aspp_rates.empty() &&
            *std::min_element(spec.aspp_rates.begin(), spec.aspp_rates.end()) >= 1,
        "DeepLab: rates of the ASPP must be positive, and at least one");
  check(!spec.scales.empty(), "DeepLab: no scales beside 1; expected at least one");
  for (const double scale : spec.scales)
    check(scale > 0 && std::isfinite(scale), "DeepLab: scale ", scale, "; expected above 0");
  return spec;
}

Variable rescaled(const Variable& images, double scale) {
  const auto height = int64_t(std::floor(scale * double(images.dim(1))));
  const auto width = int64_t(std::floor(scale * double(images.dim(2))));
  check(height >= 1 && width >= 1, "DeepLab: images ", images.shape(), " at scale ", scale,
        " have no pixels left");
  return resize_bilinear(images, height, width, Corners::kHalfPixel);
}

Variable loss_of(const Variable& logits, const Tensor& labels, DeepLabLoss loss) {
  return deeplab_loss(reshape(logits, {-1, logits.dim(3)}),
                      resize_labels(labels, logits.dim(1), logits.dim(2)), loss);
}

}  // namespace

Aspp::Aspp(int64_t channels, int64_t classes, const std::vector<int>& rates, Initializer& init) {
  for (const int rate : rates)
    branches.emplace_back(init.normal({classes, 3, 3, channels}, 0.01), true,
                          Conv2dSpec{.padding = rate, .dilation = rate});
}

Variable Aspp::operator()(const Variable& features) const {
  Variable sum;
  for (const Conv2d& branch : branches)
    sum = conv2d(features, branch.weight, branch.spec, {.bias = branch.bias, .residual = sum});
  return sum;
}

void Aspp::visit(const std::string& prefix, const ParameterVisitor& f) {
  for (size_t k = 0; k < branches.size(); ++k) branches[k].visit(join(prefix, "c", k, "."), f);
}

Variable DeepLabLosses::total() const {
  Variable sum = maximum;
  for (const Variable& loss : of_scale) sum = add(sum, loss);
  return sum;
}

DeepLab::DeepLab(const DeepLabSpec& spec, uint64_t seed) : DeepLab(spec, Initializer(seed)) {}

DeepLab::DeepLab(const DeepLabSpec& spec, Initializer init)
    : spec_(checked(spec)), body_(spec.resnet, init),
      aspp_(body_.widths().back(), spec.classes, spec.aspp_rates, init) {}

Variable DeepLab::logits(const Variable& images) { return aspp_(body_.forward(images).back()); }

MultiScaleLogits DeepLab::multi_scale_logits(const Variable& images) {
  check_shape(images.value(), {-1, -1, -1, 3}, "DeepLab: images");
  MultiScaleLogits output;
  output.maximum = logits(images);
  output.of_scale.push_back(output.maximum);
  const int64_t height = output.maximum.dim(1), width = output.maximum.dim(2);
  for (const double scale : spec_.scales) {
    output.of_scale.push_back(logits(rescaled(images, scale)));
    output.maximum = maximum(output.maximum, resize_bilinear(output.of_scale.back(), height, width,
                                                             Corners::kHalfPixel));
  }
  return output;
}

DeepLabLosses DeepLab::losses(const Variable& images, const Tensor& labels) {
  check_shape(labels, {images.dim(0), images.dim(1), images.dim(2)}, "DeepLab: labels");
  const MultiScaleLogits output = multi_scale_logits(images);
  const Tensor on_host = labels.to(kCpu);
  DeepLabLosses losses;
  for (const Variable& logits : output.of_scale)
    losses.of_scale.push_back(loss_of(logits, on_host, spec_.loss));
  losses.maximum = loss_of(output.maximum, on_host, spec_.loss);
  return losses;
}

void DeepLab::visit(const std::string& prefix, const ParameterVisitor& f) {
  body_.visit(prefix + "backbone.body.", f);
  aspp_.visit(prefix + "aspp.", f);
}

Tensor resize_labels(const Tensor& labels, int64_t height, int64_t width) {
  check_shape(labels, {-1, -1, -1}, "resize_labels: labels");
  check(labels.dtype() == DType::kU8, "resize_labels: labels are ", labels, "; expected u8");
  const int64_t count = labels.dim(0), from_height = labels.dim(1), from_width = labels.dim(2);
  check((from_height > 0 && from_width > 0) || height * width == 0, "resize_labels: labels are ",
        labels, "; expected pixels");
  const Tensor on_host = labels.to(kCpu);
  const uint8_t* from = on_host.data<uint8_t>();
  std::vector<int64_t> resized;
  resized.reserve(size_t(count * height * width));
  for (int64_t n = 0; n < count; ++n)
    for (int64_t y = 0; y < height; ++y) {
      const uint8_t* row =
          from + (n * from_height + (2 * y + 1) * from_height / (2 * height)) * from_width;
      for (int64_t x = 0; x < width; ++x)
        resized.push_back(row[(2 * x + 1) * from_width / (2 * width)]);
    }
  return Tensor::from(resized);
}

}  // namespace bbam
