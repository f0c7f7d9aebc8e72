// The drawing behind datasets/shapes.h: points and colours, outlines, textures, one object.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/random.h"

namespace bbam::shapes {

struct Vec {
  double x = 0, y = 0;
  Vec operator+(Vec o) const { return {x + o.x, y + o.y}; }
  Vec operator-(Vec o) const { return {x - o.x, y - o.y}; }
  Vec operator*(double s) const { return {x * s, y * s}; }
  double dot(Vec o) const { return x * o.x + y * o.y; }
  double length() const { return std::sqrt(dot(*this)); }
};

struct Rotation {
  double cosine = 1, sine = 0;
  Rotation() = default;
  explicit Rotation(double angle) : cosine(std::cos(angle)), sine(std::sin(angle)) {}
  Vec operator()(Vec v) const { return {cosine * v.x - sine * v.y, sine * v.x + cosine * v.y}; }
  Vec back(Vec v) const { return {cosine * v.x + sine * v.y, cosine * v.y - sine * v.x}; }
};

inline Vec direction(double angle) { return Rotation(angle)({1, 0}); }

struct Color {
  double red = 0, green = 0, blue = 0;  // 0 to 1
  Color operator*(double s) const { return {red * s, green * s, blue * s}; }
};

inline Color mixed(Color a, Color b, double share_of_b) {
  const double s = share_of_b;
  return {a.red + s * (b.red - a.red), a.green + s * (b.green - a.green),
          a.blue + s * (b.blue - a.blue)};
}

Color from_hsv(double hue, double saturation, double value);  // hue in turns, the others 0 to 1
// 0 up to `low`, 1 from `high` on.
double smooth_step(double low, double high, double x);
// Smooth noise in [-1, 1] with features one unit wide.
double noise(const Random& random, Vec p);

enum Outline { kDisc, kSquare, kTriangle, kStar, kRing, kOutlines };
enum Texture { kDots, kChecks, kStripes, kBlotches, kRipples, kTextures };

// One object: an outline, and a texture of two tones.
struct Figure {
  int outline = kDisc, texture = kDots;
  Vec middle;  // pixels
  double radius_px = 0, stretch = 1, period_px = 0;
  Rotation turn, texture_turn;
  Color first, second;
  Random grain{0};
  std::vector<float> cover;  // the share of each pixel of the canvas that lies inside
  int64_t area_px = 0;       // pixels of which half does, before others are put on top

  // Pixels from the outline, negative inside; exact but for the stretch.
  double distance_px(Vec p) const;
  double reach_px() const { return radius_px * std::max(stretch, 1 / stretch) + 1; }
  // `light` is the direction that it comes from.
  Color color_at(Vec p, Vec light) const;
};

}  // namespace bbam::shapes
