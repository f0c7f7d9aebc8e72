#include "detectors/anchors.h"

#include <cmath>
#include <optional>

namespace bbam {
namespace {

struct Sides {
  double width, height;
};

// Halves go to even, as in numpy and PyTorch (std::nearbyint in the default rounding mode).
Sides legacy_sides(double size, double stride, double ratio) {
  const double width = std::nearbyint(std::sqrt(stride * stride / ratio));
  const double height = std::nearbyint(width * ratio);
  return {width * size / stride, height * size / stride};
}

Box<double> legacy_anchor(double size, double stride, double ratio) {
  const Sides sides = legacy_sides(size, stride, ratio);
  const double centre = stride / 2;
  return {centre - sides.width / 2, centre - sides.height / 2, centre + sides.width / 2,
          centre + sides.height / 2};
}

Box<double> centred_anchor(double base, double scale, double ratio) {
  const double size = scale == 1 ? base : std::trunc(base * scale);
  const double x = std::nearbyint(size / std::sqrt(ratio) / 2);
  const double y = std::nearbyint(size * std::sqrt(ratio) / 2);
  return {-x, -y, x, y};
}

// `corner` of a cell's anchor, moved to the cell in this row or column.
float moved(float corner, int64_t cell, int64_t stride) { return corner + float(cell * stride); }

std::optional<AnchorPlace> place_on_level(const Box<float>& box, const std::vector<float>& cell,
                                          int64_t level, int64_t stride, const Shape& feature) {
  for (int64_t kind = 0; kind * 4 < int64_t(cell.size()); ++kind) {
    const Box<float> anchor = box_at(cell.data(), kind);
    const int64_t row = std::llround(double(box.y0 - anchor.y0) / double(stride));
    const int64_t column = std::llround(double(box.x0 - anchor.x0) / double(stride));
    if (row < 0 || row >= feature[1] || column < 0 || column >= feature[2]) continue;
    if (box.x0 == moved(anchor.x0, column, stride) && box.x1 == moved(anchor.x1, column, stride) &&
        box.y0 == moved(anchor.y0, row, stride) && box.y1 == moved(anchor.y1, row, stride))
      return AnchorPlace{level, row, column, kind};
  }
  return {};
}

}  // namespace

void check_anchors(const AnchorSpec& spec) {
  check(!spec.sizes_px.empty() && spec.sizes_px.size() == spec.strides_px.size(),
        "anchors: ", spec.sizes_px.size(), " sizes and ", spec.strides_px.size(),
        " strides; expected one of each per level");
  check(!spec.ratios.empty() && !spec.scales.empty(), "anchors: no ratios or no scales");
  for (double size : spec.sizes_px) check(size > 0, "anchors: size ", size, " is not positive");
  for (auto stride : spec.strides_px)
    check(stride > 0, "anchors: stride ", stride, " is not positive");
  for (double ratio : spec.ratios) check(ratio > 0, "anchors: ratio ", ratio, " is not positive");
  for (double scale : spec.scales) check(scale > 0, "anchors: scale ", scale, " is not positive");
}

Tensor cell_anchors(const AnchorSpec& spec, int64_t level) {
  const double size = spec.sizes_px.at(size_t(level));
  const double stride = double(spec.strides_px.at(size_t(level)));
  std::vector<float> corners;
  for (double ratio : spec.ratios)
    for (double scale : spec.scales) {
      const Box<double> box = spec.style == AnchorStyle::kLegacy
                                  ? legacy_anchor(size * scale, stride, ratio)
                                  : centred_anchor(size, scale, ratio);
      for (double corner : {box.x0, box.y0, box.x1, box.y1}) corners.push_back(float(corner));
    }
  return Tensor::from(corners, {spec.per_cell(), 4});
}

Tensor grid_anchors(const AnchorSpec& spec, int64_t level, int64_t height, int64_t width) {
  const std::vector<float> cell = cell_anchors(spec, level).to_vector<float>();
  const int64_t stride = spec.strides_px.at(size_t(level));
  Tensor anchors = Tensor::empty({height * width * spec.per_cell(), 4});
  float* out = anchors.mutable_data<float>();
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column)
      for (size_t k = 0; k < cell.size(); ++k)
        *out++ = moved(cell[k], k % 2 == 0 ? column : row, stride);
  return anchors;
}

std::vector<AnchorPlace> anchor_places(const AnchorSpec& spec, const std::vector<Shape>& features,
                                       const Tensor& boxes) {
  check_shape(boxes, {-1, 4}, "anchor_places: boxes");
  check(int64_t(features.size()) == spec.levels(), "anchor_places: ", features.size(),
        " levels of features, ", spec.levels(), " levels of anchors");
  std::vector<std::vector<float>> cells;
  for (int64_t level = 0; level < spec.levels(); ++level)
    cells.push_back(cell_anchors(spec, level).to_vector<float>());
  const std::vector<float> corners = boxes.to_vector<float>();
  std::vector<AnchorPlace> places;
  for (int64_t r = 0; r < boxes.dim(0); ++r) {
    const Box<float> box = box_at(corners.data(), r);
    std::optional<AnchorPlace> place;
    for (size_t level = 0; !place && level < features.size(); ++level)
      place = place_on_level(box, cells[level], int64_t(level), spec.strides_px[level],
                             features[level]);
    check(place.has_value(), "box ", r, ", (", box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1,
          "), is not one of the detector's anchors");
    places.push_back(*place);
  }
  return places;
}

Tensor inside_frame(const Tensor& anchors, FrameSize frame, double straddle_px,
                    bool legacy_plus_one) {
  check_shape(anchors, {-1, 4}, "inside_frame: anchors");
  const double right = double(frame.width) + straddle_px,
               below = double(frame.height) + straddle_px;
  const auto ends_within = [=](double end, double edge) {
    return legacy_plus_one ? end - 1 < edge : end <= edge;
  };
  Tensor inside = Tensor::empty({anchors.dim(0)}, DType::kU8);
  const float* corners = anchors.data<float>();
  uint8_t* out = inside.mutable_data<uint8_t>();
  for (int64_t i = 0; i < anchors.dim(0); ++i) {
    const Box<float> box = box_at(corners, i);
    out[i] = box.x0 >= -straddle_px && box.y0 >= -straddle_px && ends_within(box.x1, right) &&
             ends_within(box.y1, below);
  }
  return inside;
}

}  // namespace bbam
