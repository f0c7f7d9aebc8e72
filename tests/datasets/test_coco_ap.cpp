#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

#include "datasets/coco_ap.h"
#include "tests/datasets/golden_texts.h"

using namespace bbam;

namespace {

struct Scene {
  std::vector<CocoObject> objects;
  std::vector<CocoDetection> detections;
};

template <class Item>
std::vector<Item> read_items(const SafetensorsFile& file, const std::string& name) {
  const auto texts = test::golden_texts(file, name);
  const auto sizes = file.tensors.at(name + ".sizes").to_vector<int64_t>();
  const auto xywh = file.tensors.at(name + ".xywh").to_vector<double>();
  const auto ids = file.tensors.at(name + ".ids").to_vector<int64_t>();
  std::vector<Item> items;
  for (size_t k = 0; k < texts.size(); ++k) {
    Item item;
    item.image_id = ids[k * 2];
    item.category_id = ids[k * 2 + 1];
    item.box = {xywh[k * 4], xywh[k * 4 + 1], xywh[k * 4 + 2], xywh[k * 4 + 3]};
    item.mask = rle_from_string(texts[k], sizes[k * 2], sizes[k * 2 + 1]);
    items.push_back(item);
  }
  return items;
}

Scene read_scene(const SafetensorsFile& file) {
  Scene scene{read_items<CocoObject>(file, "object"), read_items<CocoDetection>(file, "detection")};
  const auto area = file.tensors.at("object.area").to_vector<double>();
  const auto flags = file.tensors.at("object.crowd_ignore").to_vector<uint8_t>();
  for (size_t k = 0; k < scene.objects.size(); ++k) {
    scene.objects[k].area_px = area[k];
    scene.objects[k].crowd = flags[k * 2] != 0;
    scene.objects[k].ignore = flags[k * 2 + 1] != 0;
  }
  const auto score = file.tensors.at("detection.score").to_vector<double>();
  for (size_t k = 0; k < scene.detections.size(); ++k) scene.detections[k].score = score[k];
  return scene;
}

void check_close(const std::vector<double>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  for (size_t k = 0; k < got.size(); ++k) worst = std::max(worst, std::abs(got[k] - expected[k]));
  CHECK(worst <= 1e-9);
}

// The twelve numbers that COCO prints.
std::vector<double> headline(const CocoAp& ap) {
  return {ap.mean_ap(),
          ap.mean_ap({.iou_thresholds = {0.5}}),
          ap.mean_ap({.iou_thresholds = {0.75}}),
          ap.mean_ap({.area = "small"}),
          ap.mean_ap({.area = "medium"}),
          ap.mean_ap({.area = "large"}),
          ap.mean_recall({.max_detections = 1}),
          ap.mean_recall({.max_detections = 10}),
          ap.mean_recall(),
          ap.mean_recall({.area = "small"}),
          ap.mean_recall({.area = "medium"}),
          ap.mean_recall({.area = "large"})};
}

CocoObject object(CocoBox box, int64_t image_id = 1) {
  return {.image_id = image_id, .category_id = 1, .box = box, .area_px = box.width * box.height};
}
CocoDetection detection(double score, CocoBox box, int64_t image_id = 1) {
  return {.image_id = image_id, .category_id = 1, .score = score, .box = box};
}
double ap_of(const Scene& scene, const CocoSlice& slice = {.iou_thresholds = {0.5}}) {
  return coco_ap(scene.objects, scene.detections).mean_ap(slice);
}

constexpr CocoBox kBox = {10, 10, 20, 10}, kHalf = {10, 10, 20, 5}, kElsewhere = {50, 50, 20, 10};

}  // namespace

TEST_CASE("coco_ap: boxes and masks of every category, area and limit equal pycocotools") {
  const SafetensorsFile file = test::golden("metrics_coco");
  const Scene scene = read_scene(file);
  CHECK(coco_iou_thresholds() == file.tensors.at("iou_thresholds").to_vector<double>());
  for (const auto& [shape, name] :
       {std::pair(CocoShape::kBoxes, std::string("bbox")), {CocoShape::kMasks, "segm"}}) {
    CAPTURE(name);
    const CocoAp ap = coco_ap(scene.objects, scene.detections, {.shape = shape});
    CHECK(ap.categories == file.tensors.at("categories").to_vector<int64_t>());
    check_close(ap.ap, file.tensors.at(name + ".ap").to_vector<double>());
    check_close(ap.recall, file.tensors.at(name + ".recall").to_vector<double>());
    check_close(headline(ap), file.tensors.at(name + ".stats").to_vector<double>());
  }
}

TEST_CASE("coco_ap: METHOD A12: AP at 0.25, 0.5, 0.7, 0.75 and 0.5:0.05:0.95 are measured") {
  const CocoAp ap =
      coco_ap(std::vector{object(kBox)}, std::vector{detection(0.9, {10, 10, 20, 7.2})});
  CHECK(ap.mean_ap({.iou_thresholds = {0.25}}) == doctest::Approx(1));
  CHECK(ap.mean_ap({.iou_thresholds = {0.7}}) == doctest::Approx(1));
  CHECK(ap.mean_ap({.iou_thresholds = {0.75}}) == 0);
  CHECK(ap.mean_ap() == doctest::Approx(0.5));  // 0.5, 0.55, 0.6, 0.65 and 0.7 of ten
}

TEST_CASE("coco_ap: an IoU at the threshold counts; a second detection of an object does not") {
  CHECK(ap_of({{object(kBox)}, {detection(0.9, kHalf)}}) == 1);
  CHECK(ap_of({{object(kBox)}, {detection(0.9, {10, 10, 20, 4.99})}}) == 0);
  CHECK(ap_of({{object(kBox)}, {detection(0.8, kBox), detection(0.9, kElsewhere)}}) == 0.5);
  // Two objects, one of them found twice: precision 1 up to recall 0.5, then nothing.
  const double twice =
      ap_of({{object(kBox), object(kElsewhere)}, {detection(0.9, kBox), detection(0.8, kBox)}});
  CHECK(twice == doctest::Approx(51.0 / 101));
}

TEST_CASE("coco_ap: detections of ignored objects and in crowds are left out") {
  CocoObject ignored = object(kElsewhere), crowd = object(kElsewhere);
  ignored.ignore = true;
  crowd.crowd = true;
  const std::vector<CocoDetection> found = {detection(0.9, kElsewhere), detection(0.5, kBox)};
  CHECK(ap_of({{object(kBox), ignored}, found}) == 1);
  CHECK(ap_of({{object(kBox)}, found}) == 0.5);
  // A crowd takes many, each by the share of the detection that lies in it.
  const std::vector<CocoDetection> inside = {detection(0.9, {50, 50, 5, 5}),
                                             detection(0.8, {55, 50, 5, 5}), detection(0.7, kBox)};
  CHECK(ap_of({{object(kBox), crowd}, inside}) == 1);
  CHECK(ap_of({{object(kBox), ignored}, inside}) == doctest::Approx(1.0 / 3));
  // Nothing that counts: nothing is measured.
  CHECK(ap_of({{crowd, ignored}, found}) == -1);
}

TEST_CASE("coco_ap: detections outside the area range are left out unless they find an object") {
  const Scene scene = {{object({0, 0, 20, 20}), object({100, 100, 100, 100})},
                       {detection(0.9, {300, 300, 100, 100}), detection(0.8, {0, 0, 20, 20}),
                        detection(0.7, {100, 100, 100, 100})}};
  CHECK(ap_of(scene, {.area = "small"}) == 1);
  CHECK(ap_of(scene, {.area = "medium"}) == -1);
  CHECK(ap_of(scene, {.area = "large"}) == 0.5);
}

TEST_CASE("coco_ap: the ends of an area range belong to it") {
  // 32^2 and 96^2 pixels lie in two ranges each; so does a wrong detection of that area.
  for (const auto& [side, smaller, larger] :
       {std::tuple(32.0, "small", "medium"), {96.0, "medium", "large"}}) {
    const CocoBox box = {0, 0, side, side}, elsewhere = {300, 300, side, side};
    const Scene scene = {{object(box)}, {detection(0.9, elsewhere), detection(0.8, box)}};
    CHECK(ap_of(scene, {.area = smaller}) == 0.5);
    CHECK(ap_of(scene, {.area = larger}) == 0.5);
  }
}

TEST_CASE("coco_ap: an IoU threshold of 1 forgives rounding") {
  // Masks and boxes that are equal reach 1 exactly; this box misses it by less than 1e-10.
  const std::vector<CocoObject> objects = {object({0, 0, 1, 1})};
  const std::vector<CocoDetection> close = {detection(0.9, {0, 0, 1 - 1e-12, 1})};
  const std::vector<CocoDetection> far = {detection(0.9, {0, 0, 1 - 1e-9, 1})};
  const CocoApOptions options{.iou_thresholds = {1}};
  CHECK(coco_ap(objects, close, options).mean_ap({.iou_thresholds = {1}}) == 1);
  CHECK(coco_ap(objects, far, options).mean_ap({.iou_thresholds = {1}}) == 0);
}

TEST_CASE("coco_ap: equal scores keep the order given in an image and that of ids between images") {
  const std::vector<CocoDetection> right_first = {detection(0.5, kBox), detection(0.5, kElsewhere)};
  const std::vector<CocoDetection> wrong_first = {right_first[1], right_first[0]};
  CHECK(ap_of({{object(kBox)}, right_first}) == 1);
  CHECK(ap_of({{object(kBox)}, wrong_first}) == 0.5);
  const CocoDetection other_image = detection(0.5, kBox, 2);
  CHECK(ap_of({{object(kBox, 1)}, {other_image, right_first[0]}}) == 1);
  CHECK(ap_of({{object(kBox, 3)}, {detection(0.5, kBox, 3), other_image}}) == 0.5);
}

TEST_CASE("coco_ap: empty inputs and categories without objects measure nothing") {
  CHECK(ap_of({}) == -1);
  CHECK(ap_of({{}, {detection(0.9, kBox)}}) == -1);
  CHECK(ap_of({{object(kBox)}, {}}) == 0);
  CHECK(coco_ap(std::vector{object(kBox)}, {}).mean_recall() == 0);
  CHECK(ap_of({{object(kBox)}, {}}, {.categories = {7}}) == -1);
  CHECK(ap_of({{object(kBox)}, {detection(0.9, kBox)}}, {.categories = {1, 7}}) == 1);
}

TEST_CASE("coco_ap: bad input is refused with what was found and what was expected") {
  const auto run = [](Scene scene, CocoApOptions options = {}) {
    return coco_ap(scene.objects, scene.detections, options);
  };
  CHECK_THROWS_WITH_AS(run({{}, {detection(std::nan(""), kBox)}}),
                       doctest::Contains("a score is not a number"), Error);
  CHECK_THROWS_WITH_AS(run({{object({0, 0, std::nan(""), 1})}, {}}),
                       doctest::Contains("expected finite numbers"), Error);
  CHECK_THROWS_WITH_AS(run({{}, {detection(0.5, {0, 0, -2, 1}, 8)}}),
                       doctest::Contains("image 8: detection box (0, 0, -2, 1)"), Error);
  CHECK_THROWS_WITH_AS(run({{object(kBox)}, {}}, {.shape = CocoShape::kMasks}),
                       doctest::Contains("image 1: object without a mask"), Error);
  CHECK_THROWS_WITH_AS(run({}, {.iou_thresholds = {}}), doctest::Contains("expected one"), Error);
  CHECK_THROWS_WITH_AS(run({}, {.iou_thresholds = {1.5}}), doctest::Contains("at most 1"), Error);
  CHECK_THROWS_WITH_AS(run({}, {.max_detections = {0}}), doctest::Contains("1 or more"), Error);
  const CocoAp ap = run({});
  CHECK_THROWS_WITH_AS(ap.mean_ap({.area = "tiny"}), doctest::Contains("\"tiny\" was not measured"),
                       Error);
  CHECK_THROWS_WITH_AS(ap.mean_ap({.iou_thresholds = {0.3}}), doctest::Contains("0.3"), Error);
  CHECK_THROWS_WITH_AS(ap.mean_ap({.max_detections = 5}), doctest::Contains("limit of 5"), Error);
}
