#include "attribution/head_analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bbam {
namespace {

struct Place {
  double x, y;
};

Place place_of(int64_t pixel, int64_t width) {
  return {double(pixel % width), double(pixel / width)};
}

// The pixels of a mask on the CPU.
std::vector<Place> places_in(const Tensor& mask) {
  const auto inside = mask.to_vector<uint8_t>();
  std::vector<Place> places;
  for (int64_t i = 0; i < mask.size(); ++i)
    if (inside[size_t(i)]) places.push_back(place_of(i, mask.dim(1)));
  return places;
}

Place centroid_of(const std::vector<Place>& places) {
  Place sum{0, 0};
  for (const Place& p : places) sum = {sum.x + p.x, sum.y + p.y};
  return {sum.x / double(places.size()), sum.y / double(places.size())};
}

double distance_to(const std::vector<Place>& contour, const Place& from) {
  double nearest = std::numeric_limits<double>::infinity();
  for (const Place& c : contour) {
    const double dx = c.x - from.x, dy = c.y - from.y, squared = dx * dx + dy * dy;
    nearest = squared < nearest ? squared : nearest;
  }
  return std::sqrt(nearest);
}

}  // namespace

std::vector<int64_t> high_pixels(const Tensor& map, double threshold) {
  check_shape(map, {-1, -1}, "high_pixels: map");
  const auto values = map.to(kCpu).to_vector<float>();
  std::vector<int64_t> pixels;
  if (values.empty()) return pixels;
  for (const float v : values) check(std::isfinite(v), "high_pixels: the map holds ", v);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double least = *low, range = double(*high) - *low;
  for (size_t i = 0; i < values.size(); ++i)
    if (double(values[i]) - least > threshold * range) pixels.push_back(int64_t(i));
  return pixels;
}

Tensor contour_of(const Tensor& mask) {
  check_shape(mask, {-1, -1}, "contour_of: mask");
  const int64_t height = mask.dim(0), width = mask.dim(1);
  const auto inside = mask.to(kCpu).to_vector<uint8_t>();
  const auto is_inside = [&](int64_t y, int64_t x) {
    return y >= 0 && y < height && x >= 0 && x < width && inside[size_t(y * width + x)] != 0;
  };
  std::vector<uint8_t> contour(inside.size());
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const bool is_surrounded =
          is_inside(y - 1, x) && is_inside(y + 1, x) && is_inside(y, x - 1) && is_inside(y, x + 1);
      contour[size_t(y * width + x)] = is_inside(y, x) && !is_surrounded;
    }
  return Tensor::from(contour, {height, width});
}

double RelativePosition::length() const { return r1_px + r2_px > 0 ? r1_px / (r1_px + r2_px) : 0; }

std::vector<RelativePosition> relative_positions(const Tensor& mask,
                                                 const std::vector<int64_t>& pixels) {
  const std::vector<Place> contour = places_in(contour_of(mask));
  check(!contour.empty(), "relative_positions: the mask is empty");
  const Place centroid = centroid_of(places_in(mask.to(kCpu)));
  std::vector<RelativePosition> positions;
  for (const int64_t pixel : pixels) {
    check(pixel >= 0 && pixel < mask.size(), "relative_positions: pixel ", pixel, " of ", mask);
    const Place place = place_of(pixel, mask.dim(1));
    const double dx = place.x - centroid.x, dy = place.y - centroid.y;
    RelativePosition p{std::hypot(dx, dy), distance_to(contour, place), std::atan2(dy, dx)};
    p.x = p.length() * std::cos(p.theta);
    p.y = p.length() * std::sin(p.theta);
    positions.push_back(p);
  }
  return positions;
}

PositionSummary::PositionSummary(int64_t bins, double boundary) : bins_(bins), boundary_(boundary) {
  check(bins >= 1, "PositionSummary: ", bins, " bins; expected 1 or more");
  counts_.resize(size_t(bins * bins));
}

void PositionSummary::add(const std::vector<RelativePosition>& positions) {
  const auto bin = [this](double r) {
    return std::clamp<int64_t>(int64_t((r + 1) / 2 * double(bins_)), 0, bins_ - 1);
  };
  for (const RelativePosition& p : positions) {
    ++pixels_;
    near_boundary_ += p.length() > boundary_;
    lengths_ += p.length();
    ++counts_[size_t(bin(p.y) * bins_ + bin(p.x))];
  }
}

double PositionSummary::mean_length() const { return pixels_ > 0 ? lengths_ / double(pixels_) : 0; }

double PositionSummary::share_near_boundary() const {
  return pixels_ > 0 ? double(near_boundary_) / double(pixels_) : 0;
}

Tensor PositionSummary::histogram() const { return Tensor::from(counts_, {bins_, bins_}); }

int64_t count_inside(const std::vector<int64_t>& pixels, int64_t width, const BoxArray& box) {
  check(width >= 1, "count_inside: a map of width ", width);
  return std::count_if(pixels.begin(), pixels.end(), [&](int64_t pixel) {
    const Place place = place_of(pixel, width);
    const double x = place.x + 0.5, y = place.y + 0.5;
    return x >= box[0] && x < box[2] && y >= box[1] && y < box[3];
  });
}

std::vector<int64_t> most_different(const Tensor& boxes, int64_t most) {
  check_shape(boxes, {-1, 4}, "most_different: boxes");
  const int64_t count = boxes.dim(0);
  const auto at = boxes.to(kCpu).cast(DType::kF64).to_vector<double>();
  const auto overlap = [&](int64_t i, int64_t j) {
    return iou(box_at(at.data(), i), box_at(at.data(), j));
  };
  if (most <= 0 || count == 0) return {};
  std::vector<int64_t> chosen{0};
  double least = std::numeric_limits<double>::infinity();
  int64_t second = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = i + 1; j < count; ++j)
      if (overlap(i, j) < least) {
        least = overlap(i, j);
        chosen[0] = i;
        second = j;
      }
  if (most >= 2 && count >= 2) chosen.push_back(second);
  while (int64_t(chosen.size()) < std::min(most, count)) {
    int64_t next = -1;
    double next_overlap = std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < count; ++i) {
      if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
      double greatest = 0;
      for (const int64_t j : chosen) greatest = std::max(greatest, overlap(i, j));
      if (greatest < next_overlap) {
        next_overlap = greatest;
        next = i;
      }
    }
    chosen.push_back(next);
  }
  return chosen;
}

double mean_proposal_iou(const Positives& positives) {
  const int64_t count = positives.proposals.dim(0);
  const auto proposals = positives.proposals.cast(DType::kF64).to_vector<double>();
  const auto regressed = positives.regressed.cast(DType::kF64).to_vector<double>();
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += iou(box_at(proposals.data(), i), box_at(regressed.data(), i));
  return count > 0 ? sum / double(count) : 0;
}

}  // namespace bbam
