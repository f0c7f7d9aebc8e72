#include "detectors/retinanet_head.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/elementwise.h"
#include "layers/reduce.h"
#include "layers/shape_ops.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using test::random_tensor;

namespace {

constexpr int64_t kAnchors = 3, kClasses = 2, kChannels = 4;

RetinaNetHead double_head(int convolutions, Device device = kCpu) {
  Initializer init(3);
  RetinaNetHead head(kChannels, kAnchors, kClasses, convolutions, 0.01, init);
  uint64_t seed = 40;
  head.visit("", [&](const std::string&, Variable& v) {
    v = Variable(random_tensor(v.shape(), ++seed, -0.6, 0.6).to(device), true);
  });
  return head;
}

// Two levels of two images.
std::vector<Variable> random_features(Device device = kCpu) {
  return {Variable(random_tensor({2, 13, 17, kChannels}, 50).to(device), true),
          Variable(random_tensor({2, 7, 9, kChannels}, 51).to(device), true)};
}

const std::vector<AnchorPlace> kPlaces{{0, 1, 2, 0}, {1, 6, 8, 2}, {0, 0, 0, 1}, {0, 4, 5, 2},
                                       {0, 1, 2, 0}, {1, 3, 3, 1}, {0, 2, 1, 1}};
const std::vector<int64_t> kImages{0, 1, 1, 0, 0, 1, 1};

// Element `part` of `size` per anchor of a level's answers.
double answer_at(const std::vector<Variable>& levels, size_t row, int64_t size, int64_t part) {
  const AnchorPlace& p = kPlaces[row];
  const Tensor& level = levels[size_t(p.level)].value();
  const int64_t cell = (kImages[row] * level.dim(1) + p.row) * level.dim(2) + p.column;
  return level.to(kCpu).to_vector<double>()[size_t((cell * kAnchors + p.kind) * size + part)];
}

}  // namespace

TEST_CASE("retinanet head: torchvision's names, and classes that start from their prior") {
  Initializer init(3);
  RetinaNetHead head(8, 9, 20, 4, 0.01, init);
  std::vector<std::string> names;
  head.visit("head.", [&](const std::string& name, Variable&) { names.push_back(name); });
  CHECK(names.size() == 20);
  CHECK(names.front() == "head.classification_head.conv.0.0.weight");
  CHECK(names[7] == "head.classification_head.conv.3.0.bias");
  CHECK(names[9] == "head.classification_head.cls_logits.bias");
  CHECK(names[10] == "head.regression_head.conv.0.0.weight");
  CHECK(names.back() == "head.regression_head.bbox_reg.bias");
  for (const float bias : head.classification.last.bias.value().to_vector<float>())
    CHECK(1 / (1 + std::exp(-bias)) == test::close_to(0.01, 1e-5));
  const RetinaNetOutput output =
      head({Variable(Tensor::full({2, 5, 7, 8}, 1)), Variable(Tensor::full({2, 3, 4, 8}, 1))});
  CHECK(output.class_logits[0].shape() == Shape{2, 5, 7, 180});
  CHECK(output.deltas[1].shape() == Shape{2, 3, 4, 36});
  CHECK_THROWS_AS(RetinaNetHead(8, 9, 20, 4, 1, init), Error);
}

TEST_CASE("retinanet head: windows are the cells and what is read around them, by hand") {
  const std::vector<Shape> shapes{{2, 13, 17, kChannels}, {2, 7, 9, kChannels}};
  const auto windows = anchor_windows(shapes, kPlaces, kImages, 2);
  CHECK(windows[0][0] == Window{0, 7, 0, 8});
  CHECK(windows[0][1] == Window{0, 5, 0, 4});
  CHECK(windows[1][0].empty());
  CHECK(windows[1][1] == Window{1, 7, 1, 9});
  CHECK_THROWS_AS(anchor_windows(shapes, {{0, 0, 0, 0}}, {2}, 2), Error);
  CHECK_THROWS_AS(anchor_windows(shapes, {{0, 0, 0, 0}}, {}, 2), Error);
}

TEST_CASE("retinanet head: single anchors answer as in the whole, with the same gradients") {
  for (const Device device : available_devices())
    for (const int convolutions : {0, 1, 2}) {
      CAPTURE(to_string(device));
      CAPTURE(convolutions);
      const RetinaNetHead head = double_head(convolutions, device);
      const auto features = random_features(device);
      const RetinaNetOutput whole = head(features);
      const AnchorAnswers some = head.at(features, kPlaces, kImages);
      REQUIRE(some.class_logits.shape() == Shape{7, kClasses});
      REQUIRE(some.deltas.shape() == Shape{7, 4});
      const auto logits = some.class_logits.value().to_vector<double>();
      const auto deltas = some.deltas.value().to_vector<double>();
      for (size_t row = 0; row < kPlaces.size(); ++row) {
        for (int64_t c = 0; c < kClasses; ++c)
          CHECK(logits[row * kClasses + size_t(c)] ==
                test::close_to(answer_at(whole.class_logits, row, kClasses, c), 1e-10));
        for (int64_t k = 0; k < 4; ++k)
          CHECK(deltas[row * 4 + size_t(k)] ==
                test::close_to(answer_at(whole.deltas, row, 4, k), 1e-10));
      }

      // Gradients of a weighted sum, from the whole by weights that are 0 elsewhere.
      const Tensor by_logit = random_tensor({7, kClasses}, 60),
                   by_delta = random_tensor({7, 4}, 61);
      backward(add(sum(mul(some.class_logits, Variable(by_logit.to(device)))),
                   sum(mul(some.deltas, Variable(by_delta.to(device))))));
      std::vector<std::vector<double>> found;
      for (const Variable& level : features) found.push_back(level.grad().to_vector<double>());
      for (Variable level : features) level.clear_grad();
      Variable total;
      for (size_t row = 0; row < kPlaces.size(); ++row) {
        const AnchorPlace& p = kPlaces[row];
        const auto level = size_t(p.level);
        const int64_t at =
            ((kImages[row] * features[level].dim(1) + p.row) * features[level].dim(2) + p.column) *
                kAnchors +
            p.kind;
        const Tensor index = Tensor::from<int64_t>({at}).to(device);
        const auto take = [&](const Variable& all, const Tensor& weights, int64_t size) {
          const Tensor w = weights.rows(int64_t(row), int64_t(row) + 1).to(device);
          return sum(mul(gather_rows(reshape(all, {-1, size}), index), Variable(w)));
        };
        const Variable term = add(take(whole.class_logits[level], by_logit, kClasses),
                                  take(whole.deltas[level], by_delta, 4));
        total = total.defined() ? add(total, term) : term;
      }
      backward(total);
      for (size_t level = 0; level < 2; ++level) {
        const auto expected = features[level].grad().to_vector<double>();
        double largest = 0, worst = 0;
        for (size_t i = 0; i < expected.size(); ++i) {
          largest = std::max(largest, std::abs(expected[i]));
          worst = std::max(worst, std::abs(expected[i] - found[level][i]));
        }
        CHECK(largest > 1e-3);
        CHECK(worst <= 1e-12 * largest + 1e-14);
      }
    }
}

TEST_CASE("retinanet head: no anchors, no answers; levels without any need not be there") {
  const RetinaNetHead head = double_head(1);
  const AnchorAnswers none = head.at(random_features(), {}, {});
  CHECK(none.class_logits.shape() == Shape{0, kClasses});
  CHECK(none.deltas.shape() == Shape{0, 4});
  auto features = random_features();
  features[0] = {};
  CHECK(head.at(features, {{1, 0, 0, 0}}, {1}).deltas.shape() == Shape{1, 4});
  CHECK_THROWS_AS(head.at(features, {{0, 0, 0, 0}}, {1}), Error);
}
