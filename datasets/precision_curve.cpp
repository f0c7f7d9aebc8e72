#include "datasets/precision_curve.h"

#include <algorithm>

namespace bbam {
namespace {

std::vector<double> best_from_here_on(std::vector<double> precision) {
  for (size_t i = precision.size(); i-- > 1;)
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  return precision;
}

}  // namespace

PrecisionCurve precision_curve(std::span<const uint8_t> is_true, int64_t object_count) {
  PrecisionCurve curve;
  int64_t found = 0;
  for (size_t i = 0; i < is_true.size(); ++i) {
    found += is_true[i] != 0;
    curve.recall.push_back(object_count == 0 ? 0.0 : double(found) / double(object_count));
    curve.precision.push_back(double(found) / double(i + 1));
  }
  return curve;
}

double sampled_ap(const PrecisionCurve& curve, int intervals) {
  const std::vector<double> best = best_from_here_on(curve.precision);
  const double step = 1.0 / intervals;
  double sum = 0;
  for (int k = 0; k <= intervals; ++k) {
    const auto reached = std::ranges::lower_bound(curve.recall, k * step);
    if (reached != curve.recall.end()) sum += best[size_t(reached - curve.recall.begin())];
  }
  return sum / (intervals + 1);
}

double area_ap(const PrecisionCurve& curve) {
  const std::vector<double> best = best_from_here_on(curve.precision);
  double area = 0, recall = 0;
  for (size_t i = 0; i < best.size(); ++i) {
    area += (curve.recall[i] - recall) * best[i];
    recall = curve.recall[i];
  }
  return area;
}

}  // namespace bbam
