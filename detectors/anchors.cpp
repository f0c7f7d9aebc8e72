#include "detectors/anchors.h"

#include <cmath>

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

Box<double> centred_anchor(double size, double ratio) {
  const double x = std::nearbyint(size / std::sqrt(ratio) / 2);
  const double y = std::nearbyint(size * std::sqrt(ratio) / 2);
  return {-x, -y, x, y};
}

}  // namespace

void check_anchors(const AnchorSpec& spec) {
  check(!spec.sizes_px.empty() && spec.sizes_px.size() == spec.strides_px.size(),
        "anchors: ", spec.sizes_px.size(), " sizes and ", spec.strides_px.size(),
        " strides; expected one of each per level");
  check(!spec.ratios.empty(), "anchors: no ratios");
  for (double size : spec.sizes_px) check(size > 0, "anchors: size ", size, " is not positive");
  for (auto stride : spec.strides_px)
    check(stride > 0, "anchors: stride ", stride, " is not positive");
  for (double ratio : spec.ratios) check(ratio > 0, "anchors: ratio ", ratio, " is not positive");
}

Tensor cell_anchors(const AnchorSpec& spec, int64_t level) {
  const double size = spec.sizes_px.at(size_t(level));
  const double stride = double(spec.strides_px.at(size_t(level)));
  std::vector<float> corners;
  for (double ratio : spec.ratios) {
    const Box<double> box = spec.style == AnchorStyle::kLegacy ? legacy_anchor(size, stride, ratio)
                                                               : centred_anchor(size, ratio);
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
        *out++ = cell[k] + float((k % 2 == 0 ? column : row) * stride);
  return anchors;
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
