#include <doctest/doctest.h>

#include <cmath>

#include "datasets/mask_metrics.h"
#include "tests/golden.h"

using namespace bbam;

namespace {

Tensor row(const std::vector<uint8_t>& labels) {
  return Tensor::from(labels, {1, int64_t(labels.size())});
}

Tensor plane(const Tensor& planes, int64_t k) {
  return planes.rows(k, k + 1).reshape({planes.dim(1), planes.dim(2)});
}

// Masks of 36 x 44 pixels, packed eight to a byte, first pixel in the highest bit.
std::vector<LabeledMask> read_masks(const SafetensorsFile& file, const std::string& name) {
  const auto ids = file.tensors.at(name + ".ids").to_vector<int64_t>();
  const auto packed = file.tensors.at(name + ".masks").to_vector<uint8_t>();
  std::vector<LabeledMask> masks;
  for (size_t k = 0; k < ids.size() / 2; ++k) {
    std::vector<uint8_t> pixels;
    for (size_t i = k * 36 * 44; i < (k + 1) * 36 * 44; ++i)
      pixels.push_back(packed[i / 8] >> (7 - i % 8) & 1);
    masks.push_back({ids[k * 2], int(ids[k * 2 + 1]), rle_encode(Tensor::from(pixels, {36, 44}))});
  }
  return masks;
}

}  // namespace

TEST_CASE("mask_metrics: METHOD A12: IoU of two masks, with and without void pixels") {
  const SafetensorsFile file = test::golden("metrics_masks");
  const Tensor& pair = file.tensors.at("pair");
  const auto expected = file.tensors.at("pair_iou").to_vector<double>();
  CHECK(mask_iou(plane(pair, 0), plane(pair, 1)) == expected[0]);
  CHECK(mask_iou(plane(pair, 0), plane(pair, 1), file.tensors.at("void")) == expected[1]);

  CHECK(mask_iou(row({1, 255, 0, 0}), row({0, 1, 1, 0})) == 1.0 / 3);
  CHECK(mask_iou(row({1, 255, 0, 0}), row({0, 1, 1, 0}), row({0, 0, 9, 0})) == 0.5);
  CHECK(mask_iou(row({0, 0}), row({0, 0})) == 0);
  CHECK_THROWS_AS(mask_iou(row({0, 0}), row({0})), Error);
  CHECK_THROWS_AS(mask_iou(row({0, 0}), row({0, 0}), row({0})), Error);
}

TEST_CASE("mask_metrics: METHOD A12: mean IoU over 21 classes, ignoring 255") {
  const SafetensorsFile file = test::golden("metrics_masks");
  const auto expected = file.tensors.at("class_iou").to_vector<double>();
  ConfusionMatrix whole, parts;
  for (int64_t k = 0; k < 3; ++k) {
    const Tensor truth = plane(file.tensors.at("truth"), k);
    const Tensor predicted = plane(file.tensors.at("predicted"), k);
    whole.add(truth, predicted);
    ConfusionMatrix part;
    part.add(truth, predicted);
    parts.add(part);
  }
  CHECK(whole.class_iou() == expected);
  CHECK(parts.class_iou() == expected);
  double sum = 0, classes = 0;
  for (const double iou : expected)
    if (iou >= 0) sum += iou, ++classes;
  CHECK(classes < 21);
  CHECK(whole.mean_iou() == doctest::Approx(sum / classes));
}

TEST_CASE("mask_metrics: a confusion matrix by hand") {
  ConfusionMatrix matrix(3);
  CHECK(matrix.mean_iou() == -1);
  matrix.add(row({0, 0, 1, 1, 255, 1}), row({0, 1, 1, 1, 2, 255}));
  CHECK(matrix.count(0, 0) == 1);
  CHECK(matrix.count(0, 1) == 1);
  CHECK(matrix.count(1, 1) == 2);
  CHECK(matrix.count(1, 3) == 1);  // predicted as the ignore label
  CHECK(matrix.class_iou() == std::vector<double>{1.0 / 2, 2.0 / 4, -1});
  CHECK(matrix.mean_iou() == 0.5);

  CHECK_THROWS_WITH_AS(matrix.add(row({0, 3}), row({0, 0})),
                       doctest::Contains("true label 3; expected 0 to 2 or 255"), Error);
  CHECK_THROWS_WITH_AS(matrix.add(row({0, 0}), row({0, 9})), doctest::Contains("predicted label 9"),
                       Error);
  CHECK_THROWS_AS(matrix.add(row({0}), row({0, 0})), Error);
  CHECK_THROWS_AS(matrix.add(ConfusionMatrix(4)), Error);
  CHECK_THROWS_AS(matrix.count(3, 0), Error);
  CHECK_THROWS_AS(ConfusionMatrix(21, 20), Error);
  CHECK_THROWS_AS(ConfusionMatrix(0), Error);
  CHECK(matrix.count(0, 0) == 1);  // a refused pair of maps leaves nothing behind
}

TEST_CASE("mask_metrics: METHOD A12: average best overlap") {
  const SafetensorsFile file = test::golden("metrics_masks");
  const auto objects = read_masks(file, "object"), guesses = read_masks(file, "guess");
  const auto expected = file.tensors.at("abo").to_vector<double>();  // class, objects, overlap
  const BestOverlap overlap = average_best_overlap(objects, guesses);
  REQUIRE(overlap.classes.size() == expected.size() / 3);
  double sum = 0;
  for (size_t c = 0; c < overlap.classes.size(); ++c) {
    CHECK(overlap.classes[c].class_id == expected[c * 3]);
    CHECK(overlap.classes[c].object_count == expected[c * 3 + 1]);
    CHECK(std::abs(overlap.classes[c].abo - expected[c * 3 + 2]) < 1e-12);
    sum += expected[c * 3 + 2];
  }
  CHECK(overlap.mean_abo == doctest::Approx(sum / double(overlap.classes.size())));
}

TEST_CASE("mask_metrics: average best overlap by hand") {
  const Rle left = rle_from_box(0, 0, 2, 2, 2, 4), right = rle_from_box(2, 0, 4, 2, 2, 4);
  const Rle all = rle_from_box(0, 0, 4, 2, 2, 4);
  const std::vector<LabeledMask> objects = {{1, 1, left}, {1, 1, right}, {2, 1, left}, {1, 2, all}};
  // Other classes and images do not help; the better of two masks counts; one mask may serve two.
  const std::vector<LabeledMask> guesses = {
      {1, 1, left}, {1, 1, all}, {2, 2, left}, {3, 1, left}, {1, 2, right}};
  const BestOverlap overlap = average_best_overlap(objects, guesses);
  REQUIRE(overlap.classes.size() == 2);
  CHECK(overlap.classes[0].abo == doctest::Approx((1 + 0.5 + 0) / 3));
  CHECK(overlap.classes[1].abo == doctest::Approx(0.5));
  CHECK(overlap.mean_abo == doctest::Approx(0.5));
  CHECK(average_best_overlap({}, guesses).mean_abo == -1);
  CHECK(average_best_overlap(objects, {}).mean_abo == 0);
}
