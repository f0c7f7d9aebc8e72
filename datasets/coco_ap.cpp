#include "datasets/coco_ap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "datasets/precision_curve.h"

namespace bbam {
namespace {

// One category in one image.
struct Scene {
  std::vector<const CocoObject*> objects;
  std::vector<const CocoDetection*> detections;  // best score first
  std::vector<double> detection_areas_px;
  std::vector<double> iou;  // (detections, objects)
};
using Scenes = std::map<int64_t, Scene>;  // by image

enum class Verdict : uint8_t { kTrue, kFalse, kLeftOut };

// A scene judged for one area range.
struct JudgedScene {
  int64_t counted_objects = 0;
  std::vector<Verdict> verdicts;  // (IoU thresholds, detections)
};

void check_input(std::span<const CocoObject> objects, std::span<const CocoDetection> detections,
                 const CocoApOptions& options) {
  const auto check_shape_of = [&](const auto& item, const char* what) {
    const CocoBox& b = item.box;
    const bool finite = std::isfinite(b.x) && std::isfinite(b.y) && std::isfinite(b.width) &&
                        std::isfinite(b.height) && b.width >= 0 && b.height >= 0;
    if (options.shape == CocoShape::kBoxes)
      check(finite, "coco_ap: image ", item.image_id, ": ", what, " box (", b.x, ", ", b.y, ", ",
            b.width, ", ", b.height, "); expected finite numbers and sides of 0 or more");
    else
      check(!item.mask.counts.empty(), "coco_ap: image ", item.image_id, ": ", what,
            " without a mask");
  };
  for (const CocoObject& object : objects) {
    check_shape_of(object, "object");
    check(object.area_px >= 0, "coco_ap: image ", object.image_id, ": an object's area of ",
          object.area_px, "; expected 0 or more");
  }
  for (const CocoDetection& detection : detections) {
    check_shape_of(detection, "detection");
    check(!std::isnan(detection.score), "coco_ap: image ", detection.image_id,
          ": a score is not a number");
  }
  check(
      !options.iou_thresholds.empty() && !options.areas.empty() && !options.max_detections.empty(),
      "coco_ap: no IoU threshold, area range or limit of detections; expected one or more");
  for (const double threshold : options.iou_thresholds)
    check(threshold > 0 && threshold <= 1, "coco_ap: an IoU threshold of ", threshold,
          "; expected more than 0 and at most 1");
  for (const int limit : options.max_detections)
    check(limit >= 1, "coco_ap: at most ", limit, " detections; expected 1 or more");
}

double box_iou(const CocoBox& detection, const CocoBox& object, bool crowd) {
  const double width = std::min(detection.x + detection.width, object.x + object.width) -
                       std::max(detection.x, object.x);
  const double height = std::min(detection.y + detection.height, object.y + object.height) -
                        std::max(detection.y, object.y);
  if (width <= 0 || height <= 0) return 0;
  const double common = width * height, own = detection.width * detection.height;
  return common / (crowd ? own : own + object.width * object.height - common);
}

void measure_boxes(Scene& scene) {
  for (const CocoDetection* detection : scene.detections) {
    scene.detection_areas_px.push_back(detection->box.width * detection->box.height);
    for (const CocoObject* object : scene.objects)
      scene.iou.push_back(box_iou(detection->box, object->box, object->crowd));
  }
}

void measure_masks(Scene& scene) {
  std::vector<Rle> detections, objects;
  std::vector<uint8_t> crowd;
  for (const CocoDetection* detection : scene.detections) {
    scene.detection_areas_px.push_back(double(rle_area(detection->mask)));
    detections.push_back(detection->mask);
  }
  for (const CocoObject* object : scene.objects) {
    objects.push_back(object->mask);
    crowd.push_back(object->crowd);
  }
  scene.iou = rle_iou(detections, objects, crowd);
}

// By category and image, with everything that does not depend on thresholds and areas.
std::map<int64_t, Scenes> arrange(std::span<const CocoObject> objects,
                                  std::span<const CocoDetection> detections,
                                  const CocoApOptions& options) {
  std::map<int64_t, Scenes> categories;
  for (const CocoObject& object : objects)
    categories[object.category_id][object.image_id].objects.push_back(&object);
  for (const CocoDetection& detection : detections)
    categories[detection.category_id][detection.image_id].detections.push_back(&detection);
  const auto limit = size_t(std::ranges::max(options.max_detections));
  for (auto& [category_id, scenes] : categories)
    for (auto& [image_id, scene] : scenes) {
      std::ranges::stable_sort(scene.detections, std::ranges::greater{}, &CocoDetection::score);
      if (scene.detections.size() > limit) scene.detections.resize(limit);
      options.shape == CocoShape::kBoxes ? measure_boxes(scene) : measure_masks(scene);
    }
  return categories;
}

bool is_outside(double area_px, const CocoAreaRange& range) {
  return area_px < range.min_px || area_px > range.max_px;
}

// The object given to the detection, or -1. `order` has the counted objects before the ignored.
int64_t best_match(const Scene& scene, size_t detection, double threshold,
                   const std::vector<size_t>& order, const std::vector<uint8_t>& ignored,
                   const std::vector<uint8_t>& taken) {
  double best_iou = std::min(threshold, 1 - 1e-10);  // a threshold of 1 forgives rounding
  int64_t best = -1;
  for (const size_t g : order) {
    if (taken[g] && !scene.objects[g]->crowd) continue;
    if (best >= 0 && !ignored[size_t(best)] && ignored[g]) break;
    const double iou = scene.iou[detection * scene.objects.size() + g];
    if (iou < best_iou) continue;
    best_iou = iou;
    best = int64_t(g);
  }
  return best;
}

JudgedScene judge(const Scene& scene, const CocoAreaRange& range,
                  const std::vector<double>& thresholds) {
  const size_t object_count = scene.objects.size();
  std::vector<uint8_t> ignored;
  for (const CocoObject* object : scene.objects)
    ignored.push_back(object->crowd || object->ignore || is_outside(object->area_px, range));
  std::vector<size_t> order(object_count);
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, {}, [&](size_t g) { return ignored[g]; });

  JudgedScene judged;
  judged.counted_objects = std::ranges::count(ignored, 0);
  for (const double threshold : thresholds) {
    std::vector<uint8_t> taken(object_count);
    for (size_t d = 0; d < scene.detections.size(); ++d) {
      const int64_t match = best_match(scene, d, threshold, order, ignored, taken);
      if (match >= 0) taken[size_t(match)] = 1;
      const bool left_out =
          match >= 0 ? ignored[size_t(match)] : is_outside(scene.detection_areas_px[d], range);
      judged.verdicts.push_back(left_out     ? Verdict::kLeftOut
                                : match >= 0 ? Verdict::kTrue
                                             : Verdict::kFalse);
    }
  }
  return judged;
}

// Where a detection's verdicts lie.
struct Ranked {
  double score;
  const Scene* scene;
  const JudgedScene* judged;
  size_t detection;
};

std::vector<Ranked> rank(const Scenes& scenes, const std::vector<JudgedScene>& judged,
                         size_t limit) {
  std::vector<Ranked> ranked;
  size_t i = 0;
  for (const auto& [image_id, scene] : scenes) {
    for (size_t d = 0; d < std::min(limit, scene.detections.size()); ++d)
      ranked.push_back({scene.detections[d]->score, &scene, &judged[i], d});
    ++i;
  }
  std::ranges::stable_sort(ranked, std::ranges::greater{}, &Ranked::score);
  return ranked;
}

PrecisionCurve curve_at(const std::vector<Ranked>& ranked, size_t threshold, int64_t objects) {
  std::vector<uint8_t> is_true;
  for (const Ranked& r : ranked) {
    const Verdict verdict =
        r.judged->verdicts[threshold * r.scene->detections.size() + r.detection];
    if (verdict != Verdict::kLeftOut) is_true.push_back(verdict == Verdict::kTrue);
  }
  return precision_curve(is_true, objects);
}

size_t cell_index(const CocoAp& result, size_t threshold, size_t category, size_t area,
                  size_t limit) {
  const CocoApOptions& options = result.options;
  return ((threshold * result.categories.size() + category) * options.areas.size() + area) *
             options.max_detections.size() +
         limit;
}

void measure_category(CocoAp& result, size_t category, const Scenes& scenes) {
  const CocoApOptions& options = result.options;
  for (size_t area = 0; area < options.areas.size(); ++area) {
    std::vector<JudgedScene> judged;
    int64_t objects = 0;
    for (const auto& [image_id, scene] : scenes) {
      judged.push_back(judge(scene, options.areas[area], options.iou_thresholds));
      objects += judged.back().counted_objects;
    }
    if (objects == 0) continue;
    for (size_t limit = 0; limit < options.max_detections.size(); ++limit) {
      const auto ranked = rank(scenes, judged, size_t(options.max_detections[limit]));
      for (size_t t = 0; t < options.iou_thresholds.size(); ++t) {
        const PrecisionCurve curve = curve_at(ranked, t, objects);
        const size_t cell = cell_index(result, t, category, area, limit);
        result.ap[cell] = sampled_ap(curve, 100);
        result.recall[cell] = curve.recall.empty() ? 0.0 : curve.recall.back();
      }
    }
  }
}

// The position of the element that fits; `what` names it in the Error for none.
template <class T, class Fits>
size_t position(const std::vector<T>& measured, Fits fits, const std::string& what) {
  const auto found = std::ranges::find_if(measured, fits);
  check(found != measured.end(), "coco_ap: ", what, " was not measured");
  return size_t(found - measured.begin());
}

}  // namespace

std::vector<double> coco_iou_thresholds() {
  // As COCO's program spaces them, to the last bit: its 0.9 is a little less.
  std::vector<double> thresholds;
  for (int i = 0; i < 10; ++i) thresholds.push_back(0.5 + i * ((0.95 - 0.5) / 9));
  return thresholds;
}

std::vector<double> default_iou_thresholds() {
  std::vector<double> thresholds = coco_iou_thresholds();
  thresholds.insert(thresholds.begin(), 0.25);
  return thresholds;
}

std::vector<CocoAreaRange> coco_area_ranges() {
  constexpr double kSmall = 32 * 32, kMedium = 96 * 96, kLargest = 1e10;
  return {{"all", 0, kLargest},
          {"small", 0, kSmall},
          {"medium", kSmall, kMedium},
          {"large", kMedium, kLargest}};
}

double CocoAp::mean_ap(const CocoSlice& slice) const { return mean(ap, slice); }
double CocoAp::mean_recall(const CocoSlice& slice) const { return mean(recall, slice); }

double CocoAp::mean(const std::vector<double>& cells, const CocoSlice& slice) const {
  const size_t area = position(
      options.areas, [&](const CocoAreaRange& r) { return r.name == slice.area; },
      join("the area range \"", slice.area, "\""));
  const size_t limit = position(
      options.max_detections, [&](int m) { return m == slice.max_detections; },
      join("a limit of ", slice.max_detections, " detections"));
  double sum = 0;
  int64_t measured = 0;
  for (const double threshold : slice.iou_thresholds) {
    const size_t t = position(
        options.iou_thresholds, [&](double m) { return std::abs(m - threshold) < 1e-9; },
        join("the IoU threshold ", threshold));
    for (size_t k = 0; k < categories.size(); ++k) {
      const bool wanted =
          slice.categories.empty() || std::ranges::count(slice.categories, categories[k]) > 0;
      const double value = cells[cell_index(*this, t, k, area, limit)];
      if (!wanted || value < 0) continue;
      sum += value;
      ++measured;
    }
  }
  return measured == 0 ? -1.0 : sum / double(measured);
}

CocoAp coco_ap(std::span<const CocoObject> objects, std::span<const CocoDetection> detections,
               const CocoApOptions& options) {
  check_input(objects, detections, options);
  const std::map<int64_t, Scenes> scenes_by_category = arrange(objects, detections, options);
  CocoAp result;
  result.options = options;
  for (const auto& [category_id, scenes] : scenes_by_category)
    result.categories.push_back(category_id);
  const size_t cells = options.iou_thresholds.size() * result.categories.size() *
                       options.areas.size() * options.max_detections.size();
  result.ap.assign(cells, -1.0);
  result.recall.assign(cells, -1.0);
  size_t category = 0;
  for (const auto& [category_id, scenes] : scenes_by_category)
    measure_category(result, category++, scenes);
  return result;
}

}  // namespace bbam
