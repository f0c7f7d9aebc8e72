#include "datasets/rle.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace bbam {
namespace {

constexpr int64_t kMaxPixels = int64_t(1) << 31;
constexpr double kMaxCoordinate_px = 1e6;

void check_size(int64_t height, int64_t width) {
  check(height >= 1 && width >= 1 && height < kMaxPixels && width < kMaxPixels &&
            height * width < kMaxPixels,
        "RLE mask: a size of ", height, " x ", width,
        " pixels; expected positive sides and fewer than 2^31 pixels");
}

void check_same_size(const Rle& a, const Rle& b) {
  check(a.height == b.height && a.width == b.width, "RLE masks of ", a.height, " x ", a.width,
        " and ", b.height, " x ", b.width, " pixels; expected masks of one image");
}

// Appends runs and keeps them canonical.
class RunBuilder {
 public:
  RunBuilder(int64_t height, int64_t width) : rle_{height, width, {0}} {}

  void add(bool set, int64_t length) {
    if (length == 0) return;
    if (set != (rle_.counts.size() % 2 == 0))
      rle_.counts.push_back(uint32_t(length));
    else
      rle_.counts.back() += uint32_t(length);
  }
  Rle finish() && { return std::move(rle_); }

 private:
  Rle rle_;
};

// visit(begin, end) for each run of set pixels, in column-major positions.
template <class Visit>
void each_set_run(const Rle& rle, Visit visit) {
  int64_t at = 0;
  for (size_t i = 0; i < rle.counts.size(); ++i) {
    const int64_t end = at + rle.counts[i];
    if (i % 2 == 1) visit(at, end);
    at = end;
  }
}

// visit(length, set_in_a, set_in_b) for each stretch over which neither mask changes.
template <class Visit>
void each_common_run(const Rle& a, const Rle& b, Visit visit) {
  check_same_size(a, b);
  const int64_t size = a.height * a.width;
  size_t i = 0, j = 0;
  int64_t end_a = a.counts[0], end_b = b.counts[0], at = 0;
  while (at < size) {
    const int64_t end = std::min(end_a, end_b);
    visit(end - at, i % 2 == 1, j % 2 == 1);
    at = end;
    if (at == size) break;
    if (end_a == at) end_a += a.counts[++i];
    if (end_b == at) end_b += b.counts[++j];
  }
}

// Appends one count of the text form: groups of five bits until only the sign is left.
void append_count(std::string& text, int64_t value) {
  for (bool more = true; more;) {
    int64_t group = value & 0x1f;
    value >>= 5;
    more = value != ((group & 0x10) ? -1 : 0);
    text += char('0' + group + (more ? 0x20 : 0));
  }
}

// Reads one count from text[at] on and moves `at` behind it.
int64_t read_count(std::string_view text, size_t& at) {
  constexpr int kMaxBits = 40;  // no count or difference of a mask below 2^31 pixels needs more
  int64_t value = 0;
  for (int shift = 0; shift < kMaxBits; shift += 5) {
    check(at < text.size(), "RLE text: cut short after ", text.size(), " characters");
    const int64_t group = int64_t(uint8_t(text[at])) - '0';
    check(group >= 0 && group < 64, "RLE text: byte ", int(uint8_t(text[at])), " at position ", at,
          "; expected characters from '0' to 'o'");
    ++at;
    value |= (group & 0x1f) << shift;
    if (group & 0x20) continue;
    if (group & 0x10) value -= int64_t(1) << (shift + 5);
    return value;
  }
  fail("RLE text: the count before position ", at, " has no end; expected at most ", kMaxBits / 5,
       " characters");
}

// A point of the grid that is kUpsampling times as fine as the pixels.
struct GridPoint {
  int64_t x = 0, y = 0;
};
constexpr int64_t kUpsampling = 5;

// COCO rounds half up by truncation, which also pulls negative values towards zero.
int64_t round_as_coco(double value) { return int64_t(value + 0.5); }

// Notes where an outline on the fine grid crosses the middle of a pixel column, as column-major
// positions of the first pixel at or under the crossing.
class OutlineCuts {
 public:
  OutlineCuts(int64_t height, int64_t width) : height_(height), width_(width) {}

  // Walks the straight line, one grid step at a time along its longer side. The other coordinate
  // is always computed from the end with the lower coordinate, so that an edge shared by two
  // polygons is cut alike in both directions.
  void walk(GridPoint from, GridPoint to) {
    const int64_t dx = std::abs(to.x - from.x), dy = std::abs(to.y - from.y);
    const bool along_x = dx >= dy;
    const bool backwards = along_x ? from.x > to.x : from.y > to.y;
    const auto [low, high] = backwards ? std::pair(to, from) : std::pair(from, to);
    const int64_t steps = along_x ? dx : dy;
    const int64_t rise = along_x ? high.y - low.y : high.x - low.x;
    const double slope = steps == 0 ? 0.0 : double(rise) / double(steps);
    for (int64_t step = 0; step <= steps; ++step) {
      const int64_t t = backwards ? steps - step : step;
      if (along_x)
        move_to({low.x + t, round_as_coco(double(low.y) + slope * double(t))});
      else
        move_to({round_as_coco(double(low.x) + slope * double(t)), low.y + t});
    }
  }

  // The pixels between odd and even cuts; cuts at the same place cancel out.
  Rle fill() && {
    std::sort(cuts_.begin(), cuts_.end());
    RunBuilder runs(height_, width_);
    int64_t at = 0;
    bool set = false;
    for (const int64_t cut : cuts_) {
      runs.add(set, cut - at);
      at = cut;
      set = !set;
    }
    runs.add(set, height_ * width_ - at);
    return std::move(runs).finish();
  }

 private:
  void move_to(GridPoint point) {
    if (started_ && point.x != last_.x) cut(point);
    last_ = point;
    started_ = true;
  }

  void cut(GridPoint point) {
    constexpr int64_t kMiddle = kUpsampling / 2;
    const int64_t x = (point.x < last_.x ? point.x : point.x - 1) - kMiddle;
    if (x < 0 || x % kUpsampling != 0 || x / kUpsampling >= width_) return;
    const int64_t y = std::max<int64_t>(std::min(point.y, last_.y) - kMiddle, 0);
    const int64_t row = std::min((y + kUpsampling - 1) / kUpsampling, height_);
    cuts_.push_back(x / kUpsampling * height_ + row);
  }

  int64_t height_, width_;
  std::vector<int64_t> cuts_;
  GridPoint last_;
  bool started_ = false;
};

bool bounds_overlap(const std::array<int64_t, 4>& a, const std::array<int64_t, 4>& b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

}  // namespace

Rle rle_encode(const Tensor& mask) {
  check_shape(mask, {-1, -1}, "rle_encode: mask");
  const int64_t height = mask.dim(0), width = mask.dim(1);
  check_size(height, width);
  const uint8_t* pixels = mask.data<uint8_t>();
  RunBuilder runs(height, width);
  for (int64_t x = 0; x < width; ++x)
    for (int64_t y = 0; y < height; ++y) runs.add(pixels[y * width + x] != 0, 1);
  return std::move(runs).finish();
}

Tensor rle_decode(const Rle& rle) {
  Tensor mask = Tensor::zeros({rle.height, rle.width}, DType::kU8);
  uint8_t* pixels = mask.mutable_data<uint8_t>();
  each_set_run(rle, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at)
      pixels[at % rle.height * rle.width + at / rle.height] = 1;
  });
  return mask;
}

Rle rle_from_counts(std::span<const int64_t> counts, int64_t height, int64_t width) {
  check_size(height, width);
  RunBuilder runs(height, width);
  int64_t sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    check(counts[i] >= 0, "RLE mask: run ", i, " is ", counts[i],
          " pixels long; expected 0 or more");
    check(counts[i] <= height * width - sum, "RLE mask: the first ", i + 1, " runs exceed the ",
          height, " x ", width, " pixels of the mask");
    sum += counts[i];
    runs.add(i % 2 == 1, counts[i]);
  }
  check(sum == height * width, "RLE mask: the runs sum to ", sum, " pixels; expected ", height,
        " x ", width, " = ", height * width);
  return std::move(runs).finish();
}

Rle rle_from_string(std::string_view text, int64_t height, int64_t width) {
  std::vector<int64_t> counts;
  for (size_t at = 0; at < text.size();) {
    const int64_t value = read_count(text, at);
    const size_t i = counts.size();
    counts.push_back(i > 2 ? counts[i - 2] + value : value);
    check(counts[i] >= 0 && counts[i] < kMaxPixels, "RLE text: run ", i, " is ", counts[i],
          " pixels long; expected 0 to the size of the mask");
  }
  return rle_from_counts(counts, height, width);
}

std::string rle_to_string(const Rle& rle) {
  std::string text;
  for (size_t i = 0; i < rle.counts.size(); ++i)
    append_count(text, int64_t(rle.counts[i]) - (i > 2 ? int64_t(rle.counts[i - 2]) : 0));
  return text;
}

Rle rle_from_polygon(std::span<const double> xy_px, int64_t height, int64_t width) {
  check_size(height, width);
  check(xy_px.size() >= 6 && xy_px.size() % 2 == 0, "polygon of ", xy_px.size(),
        " numbers; expected x and y of at least three vertices");
  for (const double value : xy_px)
    check(std::abs(value) <= kMaxCoordinate_px, "polygon: a coordinate of ", value,
          " pixels; expected a number within ", kMaxCoordinate_px, " of zero");
  const size_t vertices = xy_px.size() / 2;
  const auto vertex = [&](size_t i) {
    const double* xy = &xy_px[i % vertices * 2];
    return GridPoint{round_as_coco(kUpsampling * xy[0]), round_as_coco(kUpsampling * xy[1])};
  };
  OutlineCuts cuts(height, width);
  for (size_t i = 0; i < vertices; ++i) cuts.walk(vertex(i), vertex(i + 1));
  return std::move(cuts).fill();
}

Rle rle_from_box(double x0_px, double y0_px, double x1_px, double y1_px, int64_t height,
                 int64_t width) {
  const std::array<double, 8> corners = {x0_px, y0_px, x0_px, y1_px, x1_px, y1_px, x1_px, y0_px};
  return rle_from_polygon(corners, height, width);
}

Rle rle_merge(std::span<const Rle> masks, RleMerge how) {
  check(!masks.empty(), "rle_merge: no masks; expected at least one");
  Rle merged = masks[0];
  for (const Rle& mask : masks.subspan(1)) {
    RunBuilder runs(merged.height, merged.width);
    each_common_run(merged, mask, [&](int64_t length, bool a, bool b) {
      runs.add(how == RleMerge::kUnion ? a || b : a && b, length);
    });
    merged = std::move(runs).finish();
  }
  return merged;
}

int64_t rle_area(const Rle& rle) {
  int64_t area = 0;
  each_set_run(rle, [&](int64_t begin, int64_t end) { area += end - begin; });
  return area;
}

std::array<int64_t, 4> rle_bounds(const Rle& rle) {
  int64_t x0 = rle.width, y0 = rle.height, x1 = 0, y1 = 0;
  each_set_run(rle, [&](int64_t begin, int64_t end) {
    const int64_t first = begin / rle.height, last = (end - 1) / rle.height;
    const bool several_columns = first != last;  // then the run touches the bottom and the top
    x0 = std::min(x0, first);
    x1 = std::max(x1, last + 1);
    y0 = std::min(y0, several_columns ? 0 : begin % rle.height);
    y1 = std::max(y1, several_columns ? rle.height : (end - 1) % rle.height + 1);
  });
  if (x1 == 0) return {0, 0, 0, 0};
  return {x0, y0, x1, y1};
}

int64_t rle_intersection(const Rle& a, const Rle& b) {
  int64_t common = 0;
  each_common_run(a, b, [&](int64_t length, bool in_a, bool in_b) {
    if (in_a && in_b) common += length;
  });
  return common;
}

std::vector<double> rle_iou(std::span<const Rle> detections, std::span<const Rle> ground_truths,
                            std::span<const uint8_t> crowd) {
  check(crowd.empty() || crowd.size() == ground_truths.size(), "rle_iou: ", crowd.size(),
        " crowd flags for ", ground_truths.size(), " ground truths; expected as many or none");
  struct Extent {
    int64_t area;
    std::array<int64_t, 4> bounds;
  };
  std::vector<Extent> extents;
  for (const Rle& gt : ground_truths) extents.push_back({rle_area(gt), rle_bounds(gt)});
  std::vector<double> iou;
  iou.reserve(detections.size() * ground_truths.size());
  for (const Rle& detection : detections) {
    const Extent extent{rle_area(detection), rle_bounds(detection)};
    for (size_t g = 0; g < ground_truths.size(); ++g) {
      check_same_size(detection, ground_truths[g]);
      const bool meet = bounds_overlap(extent.bounds, extents[g].bounds);
      const int64_t common = meet ? rle_intersection(detection, ground_truths[g]) : 0;
      const bool is_crowd = !crowd.empty() && crowd[g] != 0;
      const int64_t whole = is_crowd ? extent.area : extent.area + extents[g].area - common;
      iou.push_back(common == 0 ? 0.0 : double(common) / double(whole));
    }
  }
  return iou;
}

}  // namespace bbam
