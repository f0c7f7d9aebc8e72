// The mask branch against torchvision's: the same weights and features, computed on both sides from
// their names (tests/golden/make_mask_rcnn.py).
#include <doctest/doctest.h>

#include "layers/elementwise.h"
#include "segmenters/class_masks.h"
#include "segmenters/mask_head.h"
#include "segmenters/seed_growing.h"
#include "tests/close.h"
#include "tests/detectors/one_thread.h"
#include "tests/golden_weights.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kChannels = 8, kClasses = 3;

// P2..P5 of two pictures of 128 x 192.
std::vector<Variable> make_features(Device device) {
  std::vector<Variable> levels;
  for (int k = 0; k < 4; ++k) {
    Tensor level = Tensor::empty({2, 128 >> (k + 2), 192 >> (k + 2), kChannels});
    const Random random(kSeed, name_hash(join("features.", k)));
    float* values = level.mutable_data<float>();
    for (int64_t i = 0; i < level.size(); ++i)
      values[i] = float(32 * random.uniform(uint64_t(i)) - 16);
    levels.emplace_back(level.to(device), true);
  }
  return levels;
}

struct Branch {
  MaskHeadSpec spec{.width = 6};
  Initializer init{1};
  MaskHead head{kChannels, kClasses, spec, init};
  std::vector<Variable> features;
  Variable logits;  // (R, 28, 28, C + 1)

  Branch(const GoldenSamples& golden, Device device) : features(make_features(device)) {
    fill_by_name(head, "roi_heads.");
    move_to(head, device);
    logits = head(pool(features, golden.tensors.at("rois").to(device), spec.pooler, false));
  }
};

}  // namespace

TEST_CASE("mask rcnn golden: torchvision's mask logits and probabilities of the classes") {
  const OneThread one_thread;
  const GoldenSamples golden("mask_rcnn");
  for (Device device : available_devices()) {
    INFO(to_string(device));
    const Branch branch(golden, device);
    CHECK(branch.logits.shape() == Shape{6, 28, 28, kClasses + 1});
    golden.check_sample("logits", branch.logits.value());
    const Variable masks = class_masks(branch.logits, golden.tensors.at("labels"));
    golden.check_sample("probabilities", sigmoid(masks).value());
  }
}

TEST_CASE("mask rcnn golden: METHOD A11, grown seeds, losses and gradients as PyTorch has them") {
  const OneThread one_thread;
  const GoldenSamples golden("mask_rcnn");
  for (Device device : available_devices()) {
    INFO(to_string(device));
    Branch branch(golden, device);
    const Variable logits = class_masks(branch.logits, golden.tensors.at("labels"));
    const Tensor seeds = golden.tensors.at("seeds").to(device);
    CHECK(grow_seeds(seeds, sigmoid(logits).value()).to(kCpu).to_vector<uint8_t>() ==
          golden.tensors.at("grown").to_vector<uint8_t>());
    const auto check_loss = [&](const char* name, MaskLoss loss) {
      const Variable given = mask_loss(logits, seeds, loss);
      CHECK(given.value().scalar() == close_to(double(golden.values(name)[0]), 1e-5));
      return given;
    };
    check_loss("loss_plain", MaskLoss::kPlain);
    check_loss("loss_balanced", MaskLoss::kBalanced);
    backward(check_loss("loss_grown", MaskLoss::kSeedGrowing));
    int compared = 0;
    branch.head.visit("roi_heads.", [&](const std::string& name, Variable& variable) {
      golden.check_sample("gradient." + name, variable.grad(), 1e-4);
      ++compared;
    });
    CHECK(compared == 12);
    for (size_t k = 0; k < 4; ++k) {
      if (golden.values(join("gradient.features.", k, ".moments"))[1] == 0) continue;
      golden.check_sample(join("gradient.features.", k), branch.features[k].grad(), 1e-4);
      ++compared;
    }
    CHECK(compared >= 14);  // of more than one level
  }
}
