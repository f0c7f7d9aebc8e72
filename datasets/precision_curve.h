// Precision against recall, and the average precision (AP) read from it in the ways of PASCAL VOC
// and of COCO.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace bbam {

// After the first, second, ... counted detection, best score first.
struct PrecisionCurve {
  std::vector<double> recall;     // true positives so far / objects
  std::vector<double> precision;  // true positives so far / detections so far
};

// is_true: for each counted detection, best score first, whether it found an object. Without
// objects the recall stays 0.
PrecisionCurve precision_curve(std::span<const uint8_t> is_true, int64_t object_count);

// Mean over the recalls k / intervals, k = 0 ... intervals, of the best precision at that recall or
// a higher one, 0 where it is not reached. VOC 2007 takes 10 intervals, COCO 100. The recalls are
// k * (1.0 / intervals) in double, as in the programs in use: 3 found of 10 do not reach 3 * 0.1.
double sampled_ap(const PrecisionCurve& curve, int intervals);

// The area under the best precision at each recall or a higher one: VOC from 2010 on.
double area_ap(const PrecisionCurve& curve);

}  // namespace bbam
