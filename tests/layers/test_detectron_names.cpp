#include "layers/detectron_names.h"

#include <doctest/doctest.h>

#include "layers/batch_norm.h"
#include "layers/resnet.h"
#include "tensor/check.h"

using namespace bbam;

namespace {

// Detectron's name of one of our tensors; "" for running statistics, which it has not.
std::string detectron_name(const std::string& ours) {
  if (ours.find("running") != std::string::npos) return "";
  if (ours == "conv1.weight") return "conv1_w";
  if (ours == "bn1.weight") return "res_conv1_bn_s";
  if (ours == "bn1.bias") return "res_conv1_bn_b";
  const size_t dot = ours.find('.', 7);  // layer3.22.conv3.weight
  const std::string block = join("res", ours[5] - '0' + 1, "_", ours.substr(7, dot - 7), "_branch"),
                    module = ours.substr(dot + 1);
  if (module == "downsample.0.weight") return block + "1_w";
  if (module == "downsample.1.weight") return block + "1_bn_s";
  if (module == "downsample.1.bias") return block + "1_bn_b";
  const char branch = "abc"[module[module.find('.') - 1] - '1'];
  if (module.starts_with("conv")) return join(block, "2", branch, "_w");
  return join(block, "2", branch, module.ends_with("weight") ? "_bn_s" : "_bn_b");
}

}  // namespace

TEST_CASE("detectron names: the tensors of a ResNet-50 and 101 get ours") {
  for (const int depth : {50, 101}) {
    CAPTURE(depth);
    Initializer init(1);
    ResNet net({.depth = depth, .stem_width = 4}, init);
    TensorMap theirs{{"conv1_b", Tensor::full({4}, 7e-9)}, {"fc1000_w", Tensor::zeros({2, 3})}};
    net.visit("", [&](const std::string& name, Variable& variable) {
      if (const std::string other = detectron_name(name); !other.empty())
        theirs.emplace(other, variable.value());
    });
    CHECK(theirs.count(depth == 101 ? "res4_22_branch2c_bn_s" : "res4_5_branch2c_bn_s") == 1);
    CHECK(theirs.count("res2_0_branch1_w") == 1);
    REQUIRE(has_detectron_names(theirs));
    const TensorMap ours = from_detectron_names(theirs, "R.pkl");
    CHECK(ours.count("fc1000_w") == 1);
    CHECK(ours.count("conv1_b") == 0);
    size_t tensors = 0;
    net.visit("", [&](const std::string& name, Variable& variable) {
      ++tensors;
      CAPTURE(name);
      REQUIRE(ours.count(name) == 1);
      REQUIRE(ours.at(name).shape() == variable.shape());
      if (name.find("running") == std::string::npos)
        CHECK(ours.at(name).raw() == variable.value().raw());
    });
    CHECK(ours.size() == tensors + 1);
    CHECK(!has_detectron_names(ours));
  }
}

TEST_CASE("detectron names: a frozen norm is exactly the scale and the bias of the file") {
  const Tensor scale = Tensor::from(std::vector<float>{0.5f, -3, 1e-3f}, {3});
  const Tensor bias = Tensor::from(std::vector<float>{1, 2, 3}, {3});
  const TensorMap ours = from_detectron_names(
      {{"res5_2_branch2b_bn_s", scale}, {"res5_2_branch2b_bn_b", bias}}, "R.pkl");
  const std::string name = "layer4.2.bn2.";
  const auto folded = frozen_scale_shift(ours.at(name + "weight"), ours.at(name + "bias"),
                                         ours.at(name + "running_mean"),
                                         ours.at(name + "running_var"), kNormEpsilon);
  const auto values = folded.scale.to_vector<float>(), expected = scale.to_vector<float>();
  for (size_t i = 0; i < 3; ++i) CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-7));
  CHECK(folded.shift.to_vector<float>() == bias.to_vector<float>());
}

TEST_CASE("detectron names: a convolution with a bias is refused by name") {
  CHECK_THROWS_WITH_AS(
      from_detectron_names({{"res2_0_branch2a_b", Tensor::full({2}, 0.5)}}, "R.pkl"),
      doctest::Contains("R.pkl: 'res2_0_branch2a_b' is the bias of a convolution"), Error);
}
