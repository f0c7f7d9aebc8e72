#include "layers/nms.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/random.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Rows = std::vector<std::array<double, 4>>;

Rows rows_of(const Tensor& boxes) {
  const std::vector<double> values = boxes.to_vector<double>();
  Rows rows(values.size() / 4);
  for (size_t i = 0; i < values.size(); ++i) rows[i / 4][i % 4] = values[i];
  return rows;
}

double iou(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  const auto length = [](double low, double high) { return std::max(high - low, 0.0); };
  const double inner = length(std::max(a[0], b[0]), std::min(a[2], b[2])) *
                       length(std::max(a[1], b[1]), std::min(a[3], b[3]));
  const double all =
      length(a[0], a[2]) * length(a[1], a[3]) + length(b[0], b[2]) * length(b[1], b[3]) - inner;
  return all > 0 ? inner / all : 0;
}

// The definition: repeatedly take the best box that is left and drop what it overlaps.
std::vector<double> plain_nms(const Rows& boxes, const std::vector<double>& scores,
                              const std::vector<double>& group, double threshold) {
  std::vector<size_t> left(boxes.size());
  std::iota(left.begin(), left.end(), 0);
  std::vector<double> kept;
  while (!left.empty()) {
    const size_t best = *std::max_element(left.begin(), left.end(), [&](size_t a, size_t b) {
      return scores[a] < scores[b];  // the first of equals
    });
    kept.push_back(double(best));
    std::erase_if(left, [&](size_t i) {
      return i == best || (group[i] == group[best] && iou(boxes[i], boxes[best]) > threshold);
    });
  }
  return kept;
}

// Boxes around a few centres, scores with ties.
Tensor clustered_boxes(int64_t count, uint64_t seed) {
  RandomSequence random(seed);
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    const double x = double(random.below(4)) * 30 + random.uniform(-6, 6);
    const double y = double(random.below(3)) * 30 + random.uniform(-6, 6);
    const double w = random.uniform(0, 30), h = random.uniform(0, 30);
    values.insert(values.end(), {x - w / 2, y - h / 2, x + w / 2, y + h / 2});
  }
  return Tensor::from(values, {count, 4});
}

Tensor stepped_scores(int64_t count, int64_t steps, uint64_t seed) {
  RandomSequence random(seed);
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) value = double(random.below(steps)) / double(steps);
  return Tensor::from(values, {count});
}

// The op's indices as floats, so that one case serves both types.
Example example(int64_t count, int64_t groups, double threshold) {
  const Tensor group = stepped_scores(count, groups, uint64_t(count + 5)).cast(DType::kF64);
  return {join(count, " boxes in ", groups, " groups, threshold ", threshold),
          {clustered_boxes(count, uint64_t(count)).cast(DType::kF32).cast(DType::kF64),
           stepped_scores(count, 32, uint64_t(count + 1)), group},
          [=](const std::vector<Variable>& v) {
            const Tensor &boxes = v[0].value(), &scores = v[1].value();
            // Fractions of the group count; scaled they are whole.
            std::vector<int64_t> ids;
            for (double id : v[2].value().to(kCpu).cast(DType::kF64).to_vector<double>())
              ids.push_back(std::lround(id * double(groups)) - 2);
            const Tensor group_ids = Tensor::from(ids, {count}, boxes.device());
            const Tensor kept = groups == 1 ? nms(boxes, scores, threshold)
                                            : batched_nms(boxes, scores, group_ids, threshold);
            return Variable(kept.cast(boxes.dtype()));
          },
          [=](const std::vector<Tensor>& t) {
            return plain_nms(rows_of(t[0]), t[1].to_vector<double>(), t[2].to_vector<double>(),
                             threshold);
          }};
}

std::vector<int64_t> kept_of(const std::vector<double>& boxes, const std::vector<double>& scores,
                             double threshold, Device device) {
  const auto n = int64_t(scores.size());
  return nms(Tensor::from(boxes, {n, 4}, device), Tensor::from(scores, {n}, device), threshold)
      .to_vector<int64_t>();
}

}  // namespace

TEST_CASE("op nms") {
  OpCase op_case{.op = "nms", .examples = {}};
  for (int64_t count : {0, 1, 5, 63, 64, 65, 300})
    op_case.examples.push_back(example(count, 1, 0.5));
  op_case.examples.push_back(example(200, 1, 0.0));
  op_case.has_gradient = false;
  run(op_case);
}

TEST_CASE("op batched_nms") {
  OpCase op_case{.op = "batched_nms", .examples = {}};
  for (int64_t count : {0, 1, 7, 300})
    for (int64_t groups : {3, 40}) op_case.examples.push_back(example(count, groups, 0.4));
  op_case.has_gradient = false;
  run(op_case);
}

TEST_CASE("nms: equals torchvision, ties included") {
  const SafetensorsFile file = golden("nms");
  const auto& t = file.tensors;
  for (Device device : available_devices()) {
    const Tensor boxes = t.at("boxes").to(device), scores = t.at("scores").to(device);
    for (const char* threshold : {"0.3", "0.5", "0.7"})
      CHECK(nms(boxes, scores, std::stod(threshold)).to_vector<int64_t>() ==
            t.at(std::string("nms_") + threshold).to_vector<int64_t>());
    CHECK(batched_nms(boxes, scores, t.at("groups").to(device), 0.5).to_vector<int64_t>() ==
          t.at("batched_0.5").to_vector<int64_t>());
  }
}

TEST_CASE("nms: an IoU equal to the threshold does not suppress") {
  const std::vector<double> boxes{0, 0, 10, 10, 0, 0, 10, 5};  // IoU 0.5
  for (Device device : available_devices()) {
    CHECK(kept_of(boxes, {1, 2}, 0.5, device) == std::vector<int64_t>{1, 0});
    CHECK(kept_of(boxes, {1, 2}, 0.49, device) == std::vector<int64_t>{1});
  }
}

TEST_CASE("nms: boxes without area and scores that are NaN") {
  const double nan = std::nan("");
  const std::vector<double> boxes{5, 5, 5, 5, 0, 0, 10, 10, 5, 5, 5, 5, 8, 8, 2, 2};
  for (Device device : available_devices()) {
    CHECK(kept_of(boxes, {1, 3, 1, 2}, 0.1, device) == std::vector<int64_t>{1, 3, 0, 2});
    CHECK(kept_of(boxes, {1, nan, 1, 2}, 0.1, device) == std::vector<int64_t>{3, 0, 2, 1});
  }
}

TEST_CASE("nms: what does not fit is refused") {
  const Tensor boxes = Tensor::zeros({3, 4}), scores = Tensor::zeros({3});
  CHECK_THROWS_WITH_AS(nms(boxes, Tensor::zeros({2}), 0.5), doctest::Contains("nms: scores"),
                       Error);
  CHECK_THROWS_WITH_AS(nms(Tensor::zeros({3, 5}), scores, 0.5), doctest::Contains("nms: boxes"),
                       Error);
  CHECK_THROWS_WITH_AS(batched_nms(boxes, scores, Tensor::zeros({3}), 0.5),
                       doctest::Contains("expected i64"), Error);
}
