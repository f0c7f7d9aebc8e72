#include "segmenters/semantic_inference.h"

#include <cmath>

#include "layers/elementwise.h"
#include "layers/resize.h"
#include "layers/softmax.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

// (1, H, W, C), mirrored.
Tensor flip_columns(const Tensor& image) {
  const int64_t height = image.dim(1), width = image.dim(2);
  std::vector<int64_t> from;
  from.reserve(size_t(height * width));
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) from.push_back(y * width + width - 1 - x);
  const Tensor pixels = image.reshape({height * width, image.dim(3)});
  return take_rows(pixels, Tensor::from(from).to(image.device())).reshape(image.shape());
}

// (1, h, w, 3) -> (1, height, width, C)
Tensor probabilities_of(DeepLab& model, const Tensor& image, bool flipped, int64_t height,
                        int64_t width) {
  Tensor logits = model.multi_scale_logits(flipped ? flip_columns(image) : image).maximum.value();
  if (flipped) logits = flip_columns(logits);
  return softmax(resize_bilinear(logits, height, width, Corners::kHalfPixel)).value();
}

}  // namespace

Tensor semantic_probabilities(DeepLab& model, const Tensor& image,
                              const SemanticInferenceSpec& spec) {
  check_shape(image, {-1, -1, 3}, "semantic_probabilities: image");
  check(!spec.scales.empty(), "semantic_probabilities: no scales; expected at least one");
  const int64_t height = image.dim(0), width = image.dim(1);
  const NoGrad constant;
  Variable sum;
  for (const double scale : spec.scales) {
    check(scale > 0 && std::isfinite(scale), "semantic_probabilities: scale ", scale,
          "; expected above 0");
    const auto h = int64_t(std::floor(scale * double(height)));
    const auto w = int64_t(std::floor(scale * double(width)));
    check(h >= 1 && w >= 1, "semantic_probabilities: an image ", image.shape(), " at scale ", scale,
          " has no pixels left");
    const Tensor at_scale = resize_bilinear(image.as_batch(), h, w, Corners::kHalfPixel).value();
    for (const bool flipped : {false, true}) {
      if (flipped && !spec.flip) continue;
      const Variable term(probabilities_of(model, at_scale, flipped, height, width));
      sum = sum.defined() ? add(sum, term) : term;
    }
  }
  const double count = double(spec.scales.size()) * (spec.flip ? 2 : 1);
  return scale(sum, 1 / count).value().reshape({height, width, model.spec().classes});
}

Tensor refine_probabilities(const Tensor& probabilities, const Tensor& photograph,
                            const DenseCrfOptions& options) {
  return DenseCrf(photograph, options).infer(unary_from_probabilities(probabilities));
}

}  // namespace bbam
