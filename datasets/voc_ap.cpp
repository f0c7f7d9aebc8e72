#include "datasets/voc_ap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "tensor/check.h"

namespace bbam {
namespace {

struct Object {
  const VocObject* object;
  bool found;
};

struct ClassData {
  std::map<int64_t, std::vector<Object>> objects;  // by image
  std::vector<const VocDetection*> detections;
};

double box_iou(const PixelBox& a, const PixelBox& b, double extra_px) {
  const auto area = [extra_px](double x0, double y0, double x1, double y1) {
    return std::max(x1 - x0 + extra_px, 0.0) * std::max(y1 - y0 + extra_px, 0.0);
  };
  const double common =
      area(std::max(a.x0, b.x0), std::max(a.y0, b.y0), std::min(a.x1, b.x1), std::min(a.y1, b.y1));
  if (common == 0) return 0;
  return common / (area(a.x0, a.y0, a.x1, a.y1) + area(b.x0, b.y0, b.x1, b.y1) - common);
}

enum class Verdict { kTrue, kFalse, kLeftOut };

Verdict judge(const VocDetection& detection, ClassData& data, const VocApOptions& options) {
  const auto found = data.objects.find(detection.image_id);
  if (found == data.objects.end()) return Verdict::kFalse;
  double best_iou = 0;
  Object* best = nullptr;
  for (Object& object : found->second) {
    const double iou =
        box_iou(detection.box, object.object->box, options.inclusive_pixels ? 1.0 : 0.0);
    if (iou > best_iou) best_iou = iou, best = &object;
  }
  if (best == nullptr || best_iou < options.iou_threshold) return Verdict::kFalse;
  if (best->object->difficult) return Verdict::kLeftOut;
  return std::exchange(best->found, true) ? Verdict::kFalse : Verdict::kTrue;
}

VocClassAp class_ap(int class_id, ClassData& data, const VocApOptions& options) {
  VocClassAp result;
  result.class_id = class_id;
  for (const auto& [image_id, objects] : data.objects)
    for (const Object& object : objects) result.object_count += !object.object->difficult;
  std::ranges::stable_sort(data.detections, std::ranges::greater{}, &VocDetection::score);
  std::vector<uint8_t> is_true;
  for (const VocDetection* detection : data.detections) {
    const Verdict verdict = judge(*detection, data, options);
    if (verdict == Verdict::kLeftOut) continue;
    result.scores.push_back(detection->score);
    is_true.push_back(verdict == Verdict::kTrue);
  }
  result.curve = precision_curve(is_true, result.object_count);
  if (result.object_count > 0)
    result.ap = options.rule == VocApRule::kElevenPoints ? sampled_ap(result.curve, 10)
                                                         : area_ap(result.curve);
  return result;
}

void check_box(const PixelBox& box, const char* what) {
  check(std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) &&
            std::isfinite(box.y1),
        "voc_ap: ", what, " box (", box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1,
        "); expected finite numbers");
}

}  // namespace

VocAp voc_ap(std::span<const VocObject> objects, std::span<const VocDetection> detections,
             const VocApOptions& options) {
  check(options.iou_threshold > 0 && options.iou_threshold <= 1, "voc_ap: an IoU threshold of ",
        options.iou_threshold, "; expected more than 0 and at most 1");
  std::map<int, ClassData> classes;
  for (const VocObject& object : objects) {
    check_box(object.box, "object");
    classes[object.class_id].objects[object.image_id].push_back({&object, false});
  }
  for (const VocDetection& detection : detections) {
    check_box(detection.box, "detection");
    check(!std::isnan(detection.score), "voc_ap: a score is not a number");
    classes[detection.class_id].detections.push_back(&detection);
  }
  VocAp result;
  double sum = 0;
  int64_t counted = 0;
  for (auto& [class_id, data] : classes) {
    result.classes.push_back(class_ap(class_id, data, options));
    if (result.classes.back().object_count == 0) continue;
    sum += result.classes.back().ap;
    ++counted;
  }
  if (counted > 0) result.mean_ap = sum / double(counted);
  return result;
}

}  // namespace bbam
