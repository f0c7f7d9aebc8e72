#include "attribution/gradient_maps.h"

#include <algorithm>

#include "attribution/noise.h"
#include "layers/elementwise.h"
#include "layers/reduce.h"
#include "layers/resize.h"

namespace bbam {
namespace {

void check_image(const Tensor& image, const char* what) {
  check_shape(image, {1, -1, -1, 3}, what);
}

Tensor no_map(const Tensor& image) {
  return Tensor::zeros({image.dim(1), image.dim(2)}, DType::kF32, image.device());
}

// S, summed over the images that the predictions are of.
Variable mean_score(const BoxPredictions& predictions, const ObjectProposals& object,
                    ScoreOf score) {
  const auto share = 1 / double(object.proposals.dim(0));
  return scale(sum(scores(predictions, object.label, score)), share);
}

// ∂S/∂I of each image: (K, H, W, 3).
Tensor image_gradient(ExplainedDetector& detector, const Tensor& images,
                      const ObjectProposals& object, ScoreOf score) {
  const Variable x(images, true);
  const Tensor rois = object.rois(images.dim(0), images.device());
  backward(mean_score(detector.predict(x, rois), object, score));
  return x.grad().defined() ? x.grad() : Tensor::zeros_like(images);
}

// (1, H, W, 3) -> (H, W)
Tensor greatest_magnitude(const Variable& gradient) {
  const Tensor map = max(abs(gradient), 3).value();
  return map.reshape({map.dim(1), map.dim(2)}).cast(DType::kF32);
}

double value_range(const Tensor& image) {
  const auto values = image.to(kCpu).cast(DType::kF64).to_vector<double>();
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  return values.empty() ? 0 : *greatest - *least;
}

// ReLU(Σ_k α_k A^k) of one layer, (1, h, w, 1); gradient: ∂S/∂A.
Variable class_activation(const Tensor& layer, const Tensor& gradient, int64_t places) {
  const Variable total = sum(sum(Variable(gradient), 1, true), 2, true);
  const Variable alpha = scale(total, 1 / double(places));
  return relu(sum(mul(alpha, layer), 3, true));
}

}  // namespace

Variable scores(const BoxPredictions& predictions, int64_t label, ScoreOf score) {
  const Tensor labels = label_of_each_row(predictions, label);
  if (score == ScoreOf::kClass) return probabilities_of(predictions, labels);
  const Variable extent = sum(abs(offsets_of(predictions, labels)), 1);
  return score == ScoreOf::kBox ? extent : add(extent, probabilities_of(predictions, labels));
}

Tensor simple_grad(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                   ScoreOf score) {
  check_image(image, "simple_grad: image");
  if (object.proposals.dim(0) == 0) return no_map(image);
  return greatest_magnitude(image_gradient(detector, image, object, score));
}

Tensor smooth_grad(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                   ScoreOf score, const SmoothGradSpec& spec) {
  check_image(image, "smooth_grad: image");
  check(spec.samples >= 1 && spec.batch >= 1 && spec.noise >= 0, "smooth_grad: ", spec.samples,
        " samples, ", spec.batch, " at once, noise ", spec.noise,
        "; expected 1 or more, 1 or more, and 0 or more");
  if (object.proposals.dim(0) == 0) return no_map(image);
  const double sigma = spec.noise * value_range(image);
  Variable total(Tensor::zeros_like(image));
  for (int done = 0; done < spec.samples; done += spec.batch) {
    const int count = std::min(spec.batch, spec.samples - done);
    const Tensor noisy = noisy_copies(image, done, count, sigma, spec.seed);
    total = add(total, sum(Variable(image_gradient(detector, noisy, object, score)), 0, true));
  }
  return greatest_magnitude(scale(total, 1.0 / spec.samples));
}

Tensor grad_cam(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& object,
                ScoreOf score) {
  check_image(image, "grad_cam: image");
  if (object.proposals.dim(0) == 0) return no_map(image);
  std::vector<Variable> layers;  // leaves: the sweep back ends at them
  {
    const NoGrad frozen;
    for (const Variable& layer : detector.features(image)) layers.emplace_back(layer.value(), true);
  }
  const Tensor rois = object.rois(1, image.device());
  backward(mean_score(detector.heads(layers, rois), object, score));

  int64_t places = 0;
  for (const Variable& layer : layers)
    if (layer.grad().defined()) places = std::max(places, layer.dim(1) * layer.dim(2));
  Variable map(Tensor::zeros({1, image.dim(1), image.dim(2), 1}, image.dtype(), image.device()));
  for (const Variable& layer : layers) {
    if (!layer.grad().defined()) continue;
    const Variable cam = class_activation(layer.value(), layer.grad(), places);
    map = add(map, resize_bilinear(cam, image.dim(1), image.dim(2), Corners::kHalfPixel));
  }
  return map.value().reshape({image.dim(1), image.dim(2)}).cast(DType::kF32);
}

}  // namespace bbam
