#include "datasets/figure.h"

#include <algorithm>
#include <numbers>

namespace bbam::shapes {
namespace {

using std::numbers::pi;

// Distance to a closed polygon, negative inside.
double polygon_distance(const std::vector<Vec>& corners, Vec p) {
  double nearest = 1e30;
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Vec a = corners[j], b = corners[i], edge = b - a;
    const double along = std::clamp((p - a).dot(edge) / edge.dot(edge), 0.0, 1.0);
    nearest = std::min(nearest, (p - a - edge * along).length());
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + edge.x * (p.y - a.y) / edge.y) inside = !inside;
  }
  return inside ? -nearest : nearest;
}

// `count` corners on the unit circle, the first half a step from the x axis; with `inner` < 1, as
// many between them on a circle of that radius.
std::vector<Vec> star_corners(int count, double inner) {
  std::vector<Vec> corners;
  for (int i = 0; i < count; ++i) {
    corners.push_back(direction(2 * pi * (i + 0.5) / count));
    if (inner < 1) corners.push_back(direction(2 * pi * (i + 1) / count) * inner);
  }
  return corners;
}

// Distance to the outline of a shape that touches the unit circle, negative inside.
double outline_distance(int outline, Vec p) {
  static const std::vector<Vec> square = star_corners(4, 1), triangle = star_corners(3, 1),
                                star = star_corners(5, 0.5);
  switch (outline) {
    case kSquare: return polygon_distance(square, p);
    case kTriangle: return polygon_distance(triangle, p);
    case kStar: return polygon_distance(star, p);
    case kRing: return std::abs(p.length() - 0.74) - 0.26;
    default: return p.length() - 1;
  }
}

// Share of the second tone at p, where one unit is one period.
double texture_share(int texture, const Random& random, Vec p) {
  constexpr double kSoft = 0.25;
  const auto wave = [](double x) { return std::sin(2 * pi * x); };
  switch (texture) {
    case kDots: {
      const Vec cell{p.x - std::round(p.x), p.y - std::round(p.y)};
      return 1 - smooth_step(0.24, 0.36, cell.length());
    }
    case kChecks: return smooth_step(-kSoft, kSoft, wave(p.x / 1.6) * wave(p.y / 1.6));
    case kStripes: return smooth_step(-kSoft, kSoft, wave(p.x / 1.2));
    case kBlotches: return smooth_step(-kSoft, kSoft, 1.6 * noise(random, p * 1.5));
    default: return smooth_step(-kSoft, kSoft, wave(p.length()));
  }
}

}  // namespace

Color from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + 6 * hue, 6);
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {channel(5), channel(3), channel(1)};
}

double smooth_step(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

double noise(const Random& random, Vec p) {
  const double x0 = std::floor(p.x), y0 = std::floor(p.y);
  const double fx = smooth_step(0, 1, p.x - x0), fy = smooth_step(0, 1, p.y - y0);
  const auto at = [&](double x, double y) {
    return random.uniform(uint64_t(int64_t(x) * 7919 + int64_t(y) * 104729 + (int64_t(1) << 40)));
  };
  const double top = std::lerp(at(x0, y0), at(x0 + 1, y0), fx);
  const double bottom = std::lerp(at(x0, y0 + 1), at(x0 + 1, y0 + 1), fx);
  return 2 * std::lerp(top, bottom, fy) - 1;
}

double Figure::distance_px(Vec p) const {
  const Vec local = turn.back(p - middle);
  return radius_px * outline_distance(
                         outline, {local.x / (radius_px * stretch), local.y * stretch / radius_px});
}

// Two tones, brighter towards the light, with a bevelled rim.
Color Figure::color_at(Vec p, Vec light) const {
  const Vec from_middle = p - middle;
  const Vec cloth = texture_turn.back(from_middle) * (1 / period_px);
  const Color tone = mixed(first, second, texture_share(texture, grain, cloth));
  const double distance = distance_px(p);
  const Vec slope{distance_px(p + Vec{0.5, 0}) - distance_px(p - Vec{0.5, 0}),
                  distance_px(p + Vec{0, 0.5}) - distance_px(p - Vec{0, 0.5})};
  const double rim = smooth_step(-0.16 * radius_px, 0, distance);
  return tone * (1 + 0.12 * from_middle.dot(light) / radius_px + 0.22 * rim * slope.dot(light));
}

}  // namespace bbam::shapes
