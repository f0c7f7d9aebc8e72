// ResNets and the bilinear pyramid against torchvision's, with weights computed from their names on
// both sides (tests/golden/make_resnet.py).
#include <doctest/doctest.h>

#include "layers/fpn.h"
#include "layers/resnet.h"
#include "tests/detectors/one_thread.h"
#include "tests/golden_weights.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 72, kWidth = 100;  // not multiples of 32

Tensor picture() {
  const Random random(kSeed, name_hash("picture"));
  std::vector<float> values;
  for (uint64_t k = 0; k < uint64_t(kHeight * kWidth * 3); ++k)
    values.push_back(float(4 * random.uniform(k) - 2));
  return Tensor::from(values, {1, kHeight, kWidth, 3});
}

std::vector<Variable> features_of(const ResNetSpec& spec) {
  Initializer init(1);
  ResNet net(spec, init);
  fill_by_name(net);
  const NoGrad constant;
  return net.forward(picture());
}

void check_levels(const std::string& name, const ResNetSpec& spec) {
  const OneThread one_thread;
  INFO(name);
  const GoldenSamples golden("resnet");
  const std::vector<Variable> levels = features_of(spec);
  const int64_t width = spec.depth < 50 ? 64 : 256;
  CHECK(levels[0].shape() == Shape{1, 18, 25, width});
  CHECK(levels[1].shape() == Shape{1, 9, 13, 2 * width});
  CHECK(levels[2].shape() == Shape{1, 5, 7, 4 * width});
  CHECK(levels[3].shape() == Shape{1, 3, 4, 8 * width});
  for (size_t k = 0; k < levels.size(); ++k)
    golden.check_sample(join(name, ".C", k + 2), levels[k].value());
}

}  // namespace

TEST_CASE("resnet golden: basic blocks, the stride in their first convolution") {
  check_levels("resnet18", {.depth = 18});
  check_levels("resnet34", {.depth = 34});
}

TEST_CASE("resnet golden: bottlenecks, the stride in the 3x3 or in the 1x1 before it") {
  check_levels("resnet50_3x3", {.depth = 50, .stride_in_1x1 = false});
  check_levels("resnet50_1x1", {.depth = 50, .stride_in_1x1 = true});
  check_levels("resnet101", {.depth = 101, .stride_in_1x1 = false});
}

TEST_CASE("resnet golden: group norm") {
  check_levels("resnet18_group", {.depth = 18, .norm = Norm::kGroup});
  check_levels("resnet50_group", {.depth = 50, .stride_in_1x1 = false, .norm = Norm::kGroup});
}

TEST_CASE("fpn golden: METHOD B2, a bilinear top-down path with half-pixel corners") {
  const GoldenSamples golden("resnet");
  const std::vector<Variable> features = features_of({.depth = 18});
  Initializer init(1);
  Fpn fpn({64, 128, 256, 512}, {.channels = 32, .top_down = TopDown::kBilinear}, init);
  fill_by_name(fpn, "fpn.");
  const NoGrad constant;
  const std::vector<Variable> levels = fpn.forward(features);
  for (size_t k = 0; k < levels.size(); ++k)
    golden.check_sample(join("bilinear.P", k + 2), levels[k].value());
}
