#include "segmenters/mask_head.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// The tensors of a head in the order of visit().
std::vector<std::pair<std::string, Variable*>> parts_of(MaskHead& head) {
  std::vector<std::pair<std::string, Variable*>> parts;
  head.visit("roi_heads.", [&](const std::string& name, Variable& variable) {
    parts.emplace_back(name, &variable);
  });
  return parts;
}

}  // namespace

TEST_CASE("mask head: METHOD B1, constants") {
  const MaskHeadSpec spec;
  CHECK(spec.pooler.bins == 14);
  CHECK(spec.pooler.samples == 2);
  CHECK(spec.pooler.finest == 2);
  CHECK(spec.pooler.coarsest == 5);
  CHECK(spec.convs == 4);
  CHECK(spec.width == 256);
}

TEST_CASE("mask head: METHOD B1, one 28 x 28 mask per class from 14 x 14 features") {
  Initializer init(5);
  MaskHead head(6, 3, {.width = 5}, init);
  CHECK(head(Variable(Tensor::full({2, 14, 14, 6}, 1))).shape() == Shape{2, 28, 28, 4});
  CHECK(head(Variable(Tensor::zeros({0, 14, 14, 6}))).shape() == Shape{0, 28, 28, 4});
}

TEST_CASE("mask head: names and shapes are torchvision's, NHWC") {
  Initializer init(5);
  MaskHead head(6, 3, {.convs = 2, .width = 5}, init);
  std::vector<std::string> names;
  std::vector<Shape> shapes;
  for (const auto& [name, variable] : parts_of(head)) {
    names.push_back(name);
    shapes.push_back(variable->shape());
  }
  const std::string own = "roi_heads.mask_head.", predictor = "roi_heads.mask_predictor.";
  CHECK(names == std::vector<std::string>{
                     own + "mask_fcn1.weight", own + "mask_fcn1.bias", own + "mask_fcn2.weight",
                     own + "mask_fcn2.bias", predictor + "conv5_mask.weight",
                     predictor + "conv5_mask.bias", predictor + "mask_fcn_logits.weight",
                     predictor + "mask_fcn_logits.bias"});
  CHECK(shapes[0] == Shape{5, 3, 3, 6});
  CHECK(shapes[2] == Shape{5, 3, 3, 5});
  CHECK(shapes[4] == Shape{5, 2, 2, 5});
  CHECK(shapes[5] == Shape{5});
  CHECK(shapes[6] == Shape{4, 1, 1, 5});
  CHECK_THROWS_AS(MaskHead(6, 3, {.convs = 0}, init), Error);
}

TEST_CASE("mask head: starting weights have the variance of He et al. 2015, biases are 0") {
  Initializer init(6);
  MaskHead head(64, 20, {.convs = 1, .width = 32}, init);
  const std::vector<double> outputs{32 * 9, 32 * 4, 21};  // that each input value reaches
  size_t k = 0;
  for (const auto& [name, variable] : parts_of(head)) {
    INFO(name);
    double square = 0;
    for (const float value : variable->value().to_vector<float>())
      square += double(value) * double(value) / double(variable->value().size());
    if (name.ends_with("bias"))
      CHECK(square == 0);
    else
      CHECK(square == test::close_to(2 / outputs[k++], 0.15));
  }
  CHECK(k == 3);
}

TEST_CASE("mask head: gradients of input and parameters against differences in double") {
  Initializer init(7);
  MaskHead head(3, 2, {.convs = 2, .width = 3}, init);
  std::vector<Tensor> inputs{test::random_tensor({2, 3, 3, 3}, 922)};
  for (const auto& [name, variable] : parts_of(head))
    inputs.push_back(test::random_tensor(variable->shape(), 923 + inputs.size()));
  const auto result = gradcheck(
      [&](const std::vector<Variable>& v) {
        size_t k = 1;
        for (const auto& [name, variable] : parts_of(head)) *variable = v[k++];
        return head(v[0]);
      },
      inputs);
  INFO(result.where);
  CHECK(result.worst < 1e-7);
  CHECK(result.checked > 200);
}
