// DeepLab-v2 against an implementation in PyTorch (tests/golden/make_deeplab.py): weights computed
// from their names on both sides.
#include <doctest/doctest.h>

#include "segmenters/deeplab.h"
#include "tests/close.h"
#include "tests/detectors/one_thread.h"
#include "tests/golden_weights.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kCount = 2, kHeight = 97, kWidth = 131, kClasses = 5;

Tensor picture() {
  const Random random(kSeed, name_hash("picture"));
  std::vector<float> values;
  for (uint64_t k = 0; k < uint64_t(kCount * kHeight * kWidth * 3); ++k)
    values.push_back(float(4 * random.uniform(k) - 2));
  return Tensor::from(values, {kCount, kHeight, kWidth, 3});
}

Tensor label_map() {
  std::vector<uint8_t> labels;
  for (int64_t n = 0; n < kCount; ++n)
    for (int64_t y = 0; y < kHeight; ++y)
      for (int64_t x = 0; x < kWidth; ++x) {
        const int64_t patch = 3 * n + y / 9 + 5 * (x / 7);
        labels.push_back(uint8_t(patch % 7 == 0 ? kIgnoredLabel : patch % kClasses));
      }
  return Tensor::from(labels, {kCount, kHeight, kWidth});
}

}  // namespace

TEST_CASE("deeplab golden: METHOD B5, logits of every scale, their maximum, losses and gradients") {
  const OneThread one_thread;
  const GoldenSamples golden("deeplab");
  DeepLabSpec spec{.classes = kClasses};
  spec.resnet.depth = 50;
  spec.resnet.stem_width = 16;
  DeepLab model(spec, 1);
  fill_by_name(model);

  std::vector<Variable> outputs;
  {
    const NoGrad constant;
    const MultiScaleLogits of = model.multi_scale_logits(picture());
    outputs = of.of_scale;
    outputs.push_back(of.maximum);
  }
  const std::vector<std::string> names{"scale 1", "scale 0.5", "scale 0.75", "maximum"};
  for (size_t k = 0; k < names.size(); ++k) {
    INFO(names[k]);
    CHECK(golden.tensors.at("extent " + names[k]).to_vector<int64_t>() ==
          std::vector<int64_t>{outputs[k].dim(1), outputs[k].dim(2)});
    golden.check_sample(names[k], outputs[k].value());
  }

  const DeepLabLosses losses = model.losses(picture(), label_map());
  const auto expected = golden.values("losses");
  for (size_t k = 0; k < 3; ++k)
    CHECK(losses.of_scale[k].value().scalar() == close_to(expected[k], 1e-4));
  CHECK(losses.maximum.value().scalar() == close_to(expected[3], 1e-4));
  backward(losses.total());
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (golden.tensors.contains("gradient " + name))
      CHECK(relative(variable.grad().to_vector<float>(), golden.values("gradient " + name)) < 1e-4);
    if (golden.tensors.contains("gradient " + name + ".values"))
      golden.check_sample("gradient " + name, variable.grad(), 1e-3);
  });
}

TEST_CASE("deeplab golden: labels are resized as PIL does") {
  const GoldenSamples golden("deeplab");
  const Tensor labels = label_map().rows(0, 1);
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{13, 17}, {41, 21}, {96, 130}, {1, 1}, {193, 262}}) {
    const Tensor& of = golden.tensors.at(join("nearest ", height, " ", width));
    REQUIRE(of.shape() == Shape{1, height, width});
    const auto expected = of.to_vector<uint8_t>();
    CHECK(resize_labels(labels, height, width).to_vector<int64_t>() ==
          std::vector<int64_t>(expected.begin(), expected.end()));
  }
}
