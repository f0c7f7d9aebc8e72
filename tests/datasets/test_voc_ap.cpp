#include <doctest/doctest.h>

#include <cmath>

#include "datasets/voc_ap.h"
#include "tests/golden.h"

using namespace bbam;

namespace {

struct Scene {
  std::vector<VocObject> objects;
  std::vector<VocDetection> detections;
};

PixelBox box_at(const std::vector<float>& xyxy, size_t k) {
  return {xyxy[k * 4], xyxy[k * 4 + 1], xyxy[k * 4 + 2], xyxy[k * 4 + 3]};
}

Scene read_scene(const SafetensorsFile& file) {
  Scene scene;
  const auto object = file.tensors.at("object.image_class_difficult").to_vector<int64_t>();
  const auto object_box = file.tensors.at("object.box").to_vector<float>();
  for (size_t k = 0; k < object.size() / 3; ++k)
    scene.objects.push_back(
        {object[k * 3], int(object[k * 3 + 1]), box_at(object_box, k), object[k * 3 + 2] != 0});
  const auto found = file.tensors.at("detection.image_class").to_vector<int64_t>();
  const auto found_box = file.tensors.at("detection.box").to_vector<float>();
  const auto score = file.tensors.at("detection.score").to_vector<double>();
  for (size_t k = 0; k < score.size(); ++k)
    scene.detections.push_back(
        {found[k * 2], int(found[k * 2 + 1]), score[k], box_at(found_box, k)});
  return scene;
}

VocDetection detection(double score, PixelBox box) { return {1, 1, score, box}; }
double ap_of(const Scene& scene, const VocApOptions& options = {}) {
  return voc_ap(scene.objects, scene.detections, options).mean_ap;
}

constexpr PixelBox kBox = {10, 10, 30, 20}, kElsewhere = {50, 50, 70, 60};

}  // namespace

TEST_CASE("voc_ap: METHOD A12: equals the definition written out in numpy") {
  const SafetensorsFile file = test::golden("metrics_voc");
  const Scene scene = read_scene(file);
  const auto rows = file.tensors.at("expected").to_vector<double>();
  REQUIRE(rows.size() == 30 * 6);
  for (size_t r = 0; r < rows.size() / 6; ++r) {
    const double* row = &rows[r * 6];
    CAPTURE(row[0]);
    CAPTURE(row[1]);
    CAPTURE(row[2]);
    VocApOptions options{.iou_threshold = row[0], .inclusive_pixels = row[1] != 0};
    const size_t label = size_t(row[2]);
    const VocAp area = voc_ap(scene.objects, scene.detections, options);
    options.rule = VocApRule::kElevenPoints;
    const VocAp eleven = voc_ap(scene.objects, scene.detections, options);
    REQUIRE(area.classes.size() == 5);
    CHECK(area.classes[label - 1].class_id == row[2]);
    CHECK(area.classes[label - 1].object_count == row[3]);
    CHECK(std::abs(eleven.classes[label - 1].ap - row[4]) < 1e-12);
    CHECK(std::abs(area.classes[label - 1].ap - row[5]) < 1e-12);
    // Class 4 has detections but no objects and does not enter the mean.
    double sum = 0;
    for (const VocClassAp& c : area.classes) sum += c.class_id == 4 ? 0 : c.ap;
    CHECK(area.mean_ap == doctest::Approx(sum / 4));
  }
}

TEST_CASE("voc_ap: a curve by hand") {
  // Right, wrong, right of three objects: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
  const Scene scene = {{{1, 1, kBox, false}, {2, 1, kBox, false}, {3, 1, kBox, false}},
                       {{3, 1, 0.7, kBox}, {1, 1, 0.9, kBox}, {2, 1, 0.8, kElsewhere}}};
  const VocAp ap = voc_ap(scene.objects, scene.detections);
  REQUIRE(ap.classes.size() == 1);
  CHECK(ap.classes[0].scores == std::vector<double>{0.9, 0.8, 0.7});
  CHECK(ap.classes[0].curve.recall == std::vector<double>{1.0 / 3, 1.0 / 3, 2.0 / 3});
  CHECK(ap.classes[0].curve.precision == std::vector<double>{1, 0.5, 2.0 / 3});
  CHECK(ap.mean_ap == doctest::Approx(1.0 / 3 + 1.0 / 3 * 2 / 3));
  // Recalls 0 to 0.3 see precision 1, recalls 0.4 to 0.6 see 2/3.
  CHECK(ap_of(scene, {.rule = VocApRule::kElevenPoints}) ==
        doctest::Approx((4 + 3 * 2.0 / 3) / 11));
}

TEST_CASE("voc_ap: each detection belongs to the object it overlaps most, found or not") {
  // The second detection overlaps the second object by more than half, but the first by more.
  const PixelBox near = {12, 10, 32, 20}, between = {10.5, 10, 30.5, 20};
  const Scene scene = {{{1, 1, kBox, false}, {1, 1, near, false}},
                       {detection(0.9, kBox), detection(0.8, between)}};
  CHECK(ap_of(scene) == 0.5);
}

TEST_CASE("voc_ap: difficult objects are neither missed nor found") {
  const Scene scene = {
      {{1, 1, kBox, false}, {1, 1, kElsewhere, true}},
      {detection(0.9, kElsewhere), detection(0.8, kElsewhere), detection(0.7, kBox)}};
  CHECK(ap_of(scene) == 1);
  CHECK(ap_of({{{1, 1, kBox, true}}, {detection(0.9, kBox)}}) == -1);
}

TEST_CASE("voc_ap: inclusive pixels lengthen every side by one") {
  // [0, 9] x [0, 9] against [0, 9] x [5, 14]: 50 of 150 pixels; half-open, 36 of 126.
  const Scene scene = {{{1, 1, {0, 0, 9, 9}, false}}, {detection(0.9, {0, 5, 9, 14})}};
  CHECK(ap_of(scene, {.iou_threshold = 0.33, .inclusive_pixels = true}) == 1);
  CHECK(ap_of(scene, {.iou_threshold = 0.33}) == 0);
  CHECK(ap_of(scene, {.iou_threshold = 0.28}) == 1);
}

TEST_CASE("voc_ap: an IoU at the threshold counts, and equal scores keep the order given") {
  CHECK(ap_of({{{1, 1, kBox, false}}, {detection(0.9, {10, 10, 30, 15})}}) == 1);
  CHECK(ap_of({{{1, 1, kBox, false}}, {detection(0.5, kBox), detection(0.5, kElsewhere)}}) == 1);
  CHECK(ap_of({{{1, 1, kBox, false}}, {detection(0.5, kElsewhere), detection(0.5, kBox)}}) == 0.5);
}

TEST_CASE("voc_ap: empty and bad input") {
  CHECK(ap_of({}) == -1);
  CHECK(ap_of({{{1, 1, kBox, false}}, {}}) == 0);
  CHECK_THROWS_WITH_AS(ap_of({{}, {detection(std::nan(""), kBox)}}),
                       doctest::Contains("a score is not a number"), Error);
  CHECK_THROWS_WITH_AS(ap_of({{}, {detection(0.5, {0, 0, NAN, 1})}}),
                       doctest::Contains("detection box (0, 0, nan, 1)"), Error);
  CHECK_THROWS_WITH_AS(ap_of({{{1, 1, {0, 0, INFINITY, 1}, false}}, {}}),
                       doctest::Contains("object box (0, 0, inf, 1)"), Error);
  CHECK_THROWS_WITH_AS(ap_of({}, {.iou_threshold = 0}), doctest::Contains("more than 0"), Error);
}
