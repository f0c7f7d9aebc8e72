#include "detectors/box_coder.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

Tensor random_boxes(int64_t count, uint64_t seed) {
  std::vector<double> corners = test::random_tensor({count, 4}, seed, 0, 100).to_vector<double>();
  for (size_t i = 0; i < corners.size(); i += 4) {
    corners[i + 2] += corners[i] + 1;
    corners[i + 3] += corners[i + 1] + 1;
  }
  return Tensor::from(corners, {count, 4});
}

// The older programs' coder on last pixels (METHOD B1, "+1 pixel convention").
std::vector<double> legacy_encode(const double* box, const double* reference, const double* w) {
  const double bw = box[2] - box[0] + 1, rw = reference[2] - reference[0] + 1;
  const double bh = box[3] - box[1] + 1, rh = reference[3] - reference[1] + 1;
  return {w[0] * (box[0] + 0.5 * bw - reference[0] - 0.5 * rw) / rw,
          w[1] * (box[1] + 0.5 * bh - reference[1] - 0.5 * rh) / rh, w[2] * std::log(bw / rw),
          w[3] * std::log(bh / rh)};
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to(kCpu).cast(DType::kF64).to_vector<double>();
  const auto y = b.to(kCpu).cast(DType::kF64).to_vector<double>();
  REQUIRE(x.size() == y.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - y[i]));
  return worst;
}

}  // namespace

TEST_CASE("box coder: by hand") {
  // 20 wide and 10 high at (10, 20); the box is moved by (4, 1), twice as wide, half as high.
  const Tensor reference = Tensor::from<double>({10, 20, 30, 30}, {1, 4});
  const Tensor box = Tensor::from<double>({4, 23.5, 44, 28.5}, {1, 4});
  const double log2 = std::log(2.0);
  const auto ones = encode_boxes(box, reference, kRpnCoder).to_vector<double>();
  const std::vector<double> expected{0.2, 0.1, log2, -log2};
  for (size_t k = 0; k < 4; ++k) CHECK(ones[k] == test::close_to(expected[k], 1e-12));
}

TEST_CASE("box coder: METHOD B1, weights 1,1,1,1 for the RPN and 10,10,5,5 for RoIs") {
  CHECK(kRpnCoder.weights == std::array<double, 4>{1, 1, 1, 1});
  CHECK(kRoiCoder.weights == std::array<double, 4>{10, 10, 5, 5});
  const Tensor boxes = random_boxes(20, 3), references = random_boxes(20, 4);
  const auto values = boxes.to_vector<double>(), anchors = references.to_vector<double>();
  for (const BoxCoderSpec& spec : {kRpnCoder, kRoiCoder}) {
    const auto deltas = encode_boxes(boxes, references, spec).to_vector<double>();
    for (size_t i = 0; i < values.size(); i += 4) {
      const double last[] = {values[i], values[i + 1], values[i + 2] - 1, values[i + 3] - 1};
      const double anchor[] = {anchors[i], anchors[i + 1], anchors[i + 2] - 1, anchors[i + 3] - 1};
      const auto expected = legacy_encode(last, anchor, spec.weights.data());
      for (size_t k = 0; k < 4; ++k) CHECK(deltas[i + k] == test::close_to(expected[k], 1e-12));
    }
  }
}

TEST_CASE("box coder: decoding undoes encoding, in both types and on every device") {
  const Tensor boxes = random_boxes(50, 5), references = random_boxes(50, 6);
  for (Device device : available_devices())
    for (DType dtype : {DType::kF32, DType::kF64}) {
      const Tensor b = boxes.cast(dtype).to(device), r = references.cast(dtype).to(device);
      const Tensor back = decode_boxes(encode_boxes(b, r, kRoiCoder), r, kRoiCoder);
      CHECK(largest_difference(back, boxes) < (dtype == DType::kF32 ? 1e-4 : 1e-11));
    }
}

TEST_CASE("box coder: METHOD B1, log scales are clipped at log(1000/16)") {
  CHECK(kLargestLogScale == test::close_to(std::log(1000.0 / 16), 1e-15));
  const Tensor reference = Tensor::from<double>({0, 0, 16, 16}, {1, 4});
  const Tensor deltas = Tensor::from<double>({0, 0, 1000, 5 * 4.2}, {1, 4});
  const auto box = decode_boxes(deltas, reference, kRoiCoder).to_vector<double>();
  CHECK(box[2] - box[0] == test::close_to(1000, 1e-12));
  CHECK(box[3] - box[1] == test::close_to(1000, 1e-12));
}

TEST_CASE("box coder: several deltas of one reference, and none") {
  const Tensor references = random_boxes(3, 7).cast(DType::kF32);
  const Tensor deltas = test::random_tensor({3, 8}, 8).cast(DType::kF32);
  const auto both = decode_boxes(deltas, references, kRoiCoder).to_vector<float>();
  const auto values = deltas.to_vector<float>();
  for (size_t r = 0; r < 3; ++r)
    for (size_t k = 0; k < 2; ++k) {
      const auto at = values.begin() + int64_t(8 * r + 4 * k);
      const Tensor one = Tensor::from(std::vector<float>(at, at + 4), {1, 4});
      const auto alone = decode_boxes(one, references.rows(int64_t(r), int64_t(r) + 1), kRoiCoder)
                             .to_vector<float>();
      CHECK(std::equal(alone.begin(), alone.end(), both.begin() + int64_t(8 * r + 4 * k)));
    }
  CHECK(decode_boxes(deltas.rows(0, 0), references.rows(0, 0), kRoiCoder).shape() == Shape{0, 8});
  CHECK_THROWS_AS(decode_boxes(deltas.reshape({4, 6}), references, kRoiCoder), Error);
}
