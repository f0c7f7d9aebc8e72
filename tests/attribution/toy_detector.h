// A detector small enough to be checked by hand: for each proposal the mean colour of the image
// inside it decides class and offsets, smoothly.
#pragma once
#include <cmath>

#include "attribution/explained_detector.h"
#include "layers/elementwise.h"
#include "layers/matmul.h"
#include "layers/roi_align.h"
#include "layers/shape_ops.h"

namespace bbam::test {

class ToyDetector : public ExplainedDetector {
 public:
  static constexpr int kBins = 4, kInputs = kBins * kBins * 3, kClasses = 3;

  // Two classes and background; weights by formula, `gain` times as large: how much the answer
  // depends on the picture.
  explicit ToyDetector(DType dtype = DType::kF32, Device device = kCpu, double gain = 1) {
    std::vector<double> logits, deltas;
    for (int i = 0; i < kClasses * kInputs; ++i) logits.push_back(gain * logit_weight(i));
    for (int i = 0; i < 4 * kClasses * kInputs; ++i) deltas.push_back(gain * delta_weight(i));
    to_logits_ = Tensor::from(logits, {kClasses, kInputs}).cast(dtype).to(device);
    to_deltas_ = Tensor::from(deltas, {4 * kClasses, kInputs}).cast(dtype).to(device);
    logit_bias_ = Tensor::from<double>({-1, 2, 0}).cast(dtype).to(device);
    delta_bias_ = Tensor::zeros({4 * kClasses}, dtype, device);
  }
  static double logit_weight(int i) { return std::sin(1.0 + i) * 0.3; }
  static double delta_weight(int i) { return std::cos(2.0 + i) * 0.02; }

  BoxPredictions predict(const Variable& images, const Tensor& rois) override {
    ++predictions;
    return heads(features(images), rois);
  }
  // The picture is the only layer.
  std::vector<Variable> features(const Variable& images) override { return {images}; }
  BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) override {
    const RoiAlignSpec spec{.out_h = kBins, .out_w = kBins};
    const Variable pooled = roi_align(features[0], rois, 1.0, spec);
    const Variable x = sigmoid(scale(reshape(pooled, {rois.dim(0), kInputs}), 0.05));
    return {linear(x, to_logits_, logit_bias_), linear(x, to_deltas_, delta_bias_)};
  }
  Tensor decode(const Tensor& offsets, const Tensor& proposals, int64_t, int64_t) const override {
    auto boxes = proposals.to_vector<float>();
    const auto t = offsets.to_vector<float>();
    for (size_t i = 0; i < boxes.size(); ++i) boxes[i] += t[i];
    return Tensor::from(boxes, proposals.shape());
  }
  int cost_group(const BoxArray&) const override { return 0; }

  int predictions = 0;  // calls of predict

 private:
  Tensor to_logits_, to_deltas_, logit_bias_, delta_bias_;
};

}  // namespace bbam::test
