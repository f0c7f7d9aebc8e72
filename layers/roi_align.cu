// Glossary: p, q bin row and column; s sample inside a bin; N images, H x W features, C channels.
#include "layers/roi_align.h"

#include <algorithm>
#include <cmath>

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

constexpr int kMaxLevels = 8;
constexpr int kRoiColumns = 5;
constexpr double kMaxCoordinate_px = 1e6;

// The sample places of one RoI along one axis, in feature pixels: everything that the forward and
// the backward kernel must agree on.
struct Axis {
  double start, bin, per_bin;  // start of the RoI, size of a bin and its inverse
  int bins, samples;
  int64_t extent;

  HD double sample(int p, int s) const { return start + bin * (p + (s + 0.5) / samples); }
  // Samples up to one pixel outside the features read the border; those beyond read nothing.
  HD bool is_inside(double at) const { return at >= -1 && at <= double(extent); }
  HD double clamped(double at) const { return clamp_(at, 0.0, double(extent - 1)); }
  // The sum over the samples of bin p of the share that each takes from `pixel`.
  HD double weight(int p, int64_t pixel) const {
    double sum = 0;
    for (int s = 0; s < samples; ++s) {
      const double at = sample(p, s);
      if (is_inside(at)) sum += max_(0.0, 1 - abs_(clamped(at) - double(pixel)));
    }
    return sum;
  }
  // The bins [*first, *last] that may have a sample less than one pixel away from `pixel`.
  HD void bins_near(int64_t pixel, int* first, int* last) const {
    *first = 0;
    *last = bins - 1;
    if (!(bin > 0)) return;
    *first = int(clamp_(floor((double(pixel) - 1 - start) * per_bin), 0.0, double(bins)));
    *last = int(clamp_(floor((double(pixel) + 1 - start) * per_bin), -1.0, double(bins - 1)));
  }
  // The pixels [*first, *last] that the samples read; empty when *last < *first.
  HD void pixels(int* first, int* last) const {
    const double a = samples > 0 ? sample(0, 0) : -2,
                 b = samples > 0 ? sample(bins - 1, samples - 1) : -2;
    const double low = min_(a, b), high = max_(a, b);
    *first = int(clamped(low));
    *last = int(min_(clamped(high) + 1, double(extent - 1)));
    if (high < -1 || low > double(extent)) *last = *first - 1;
  }
};

// How RoIs lie on the features of one level.
struct Grid {
  int64_t height, width;
  double scale;
  int out_h, out_w, sampling_ratio;
  bool aligned;

  HD Axis axis(double low_px, double high_px, int bins, int64_t extent) const {
    const double shift = aligned ? 0.5 : 0.0;
    const double start = low_px * scale - shift;
    double size = high_px * scale - shift - start;
    if (!aligned) size = max_(size, 1.0);
    const double bin = size / bins;
    const int samples = sampling_ratio > 0 ? sampling_ratio : int(max_(ceil(bin), 0.0));
    return {start, bin, 1 / bin, bins, samples, extent};
  }
  HD Axis rows(const float* roi) const { return axis(roi[2], roi[4], out_h, height); }
  HD Axis columns(const float* roi) const { return axis(roi[1], roi[3], out_w, width); }
};

HD double samples_in_bin(const Axis& rows, const Axis& columns) {
  return max_(double(rows.samples) * columns.samples, 1.0);
}

template <class T>
struct Level {
  Grid grid;
  const T* x;
};

// Block b makes all channels of bin b = (r, p, q).
template <class T>
struct Forward {
  Level<T> levels[kMaxLevels];
  const float* rois;
  const int32_t* level_of_roi;
  T* y;
  int64_t channels;

  HD void operator()(const Block& g, int64_t b) const {
    const int out_h = levels[0].grid.out_h, out_w = levels[0].grid.out_w;
    const int64_t r = b / out_w / out_h;
    const int p = int(b / out_w % out_h), q = int(b % out_w);
    const float* roi = rois + r * kRoiColumns;
    const Level<T>& level = levels[level_of_roi[r]];
    const Axis rows = level.grid.rows(roi), columns = level.grid.columns(roi);
    const T* image = level.x + int64_t(roi[0]) * rows.extent * columns.extent * channels;
    const double share = 1 / samples_in_bin(rows, columns);
    T* bin = y + b * channels;
    for (int64_t c = g.rank(); c < channels; c += g.size()) bin[c] = T(0);
    for (int i = 0; i < rows.samples; ++i)
      for (int j = 0; j < columns.samples; ++j)
        add_sample(g, image, rows, rows.sample(p, i), columns, columns.sample(q, j), share, bin);
  }

  HD void add_sample(const Block& g, const T* image, const Axis& rows, double at_row,
                     const Axis& columns, double at_column, double share,
                     T* __restrict__ bin) const {
    if (!rows.is_inside(at_row) || !columns.is_inside(at_column)) return;
    at_row = rows.clamped(at_row);
    at_column = columns.clamped(at_column);
    const auto row = int64_t(at_row), column = int64_t(at_column);
    const double below = at_row - double(row), right = at_column - double(column);
    const T w00 = T((1 - below) * (1 - right) * share), w01 = T((1 - below) * right * share);
    const T w10 = T(below * (1 - right) * share), w11 = T(below * right * share);
    // At the last row or column the neighbour's weight is 0 and the pixel itself is read twice.
    const int64_t down = row + 1 < rows.extent ? columns.extent * channels : 0;
    const int64_t aside = column + 1 < columns.extent ? channels : 0;
    const T* p00 = image + (row * columns.extent + column) * channels;
    for (int64_t c = g.rank(); c < channels; c += g.size())
      bin[c] +=
          w00 * p00[c] + w01 * p00[aside + c] + w10 * p00[down + c] + w11 * p00[down + aside + c];
  }
};

struct Bounds {
  int32_t top, bottom, left, right;  // inclusive
};

// The feature pixels that the k-th RoI of the list reads.
struct FindBounds {
  Grid grid;
  const float* rois;
  const int32_t* list;
  Bounds* bounds;
  HD void operator()(int64_t k) const {
    const float* roi = rois + list[k] * int64_t(kRoiColumns);
    Bounds found;
    grid.rows(roi).pixels(&found.top, &found.bottom);
    grid.columns(roi).pixels(&found.left, &found.right);
    bounds[k] = found;
  }
};

// Block b makes the gradient of a stretch of kTile pixels of one feature row, over the RoIs of its
// image in the order of the list.
template <class T>
struct Backward {
  static constexpr int64_t kTile = 16;
  Grid grid;
  const float* rois;
  const int32_t *list, *starts;  // RoIs of image n: list[starts[n]] ... list[starts[n + 1] - 1]
  const Bounds* bounds;
  const T* dy;
  T* dx;
  int64_t channels, tiles;  // tiles per row

  HD void operator()(const Block& g, int64_t b) const {
    const int64_t n = b / tiles / grid.height, row = b / tiles % grid.height;
    const int64_t begin = b % tiles * kTile, end = min_(begin + kTile, grid.width);
    T* line = dx + (n * grid.height + row) * grid.width * channels;
    for (int64_t i = begin * channels + g.rank(); i < end * channels; i += g.size()) line[i] = T(0);
    g.sync();
    for (int32_t k = starts[n]; k < starts[n + 1]; ++k) {
      const Bounds& a = bounds[k];
      if (row < a.top || row > a.bottom || begin > a.right || end <= a.left) continue;
      add_roi(g, list[k], row, max_<int64_t>(begin, a.left), min_<int64_t>(end, a.right + 1), line);
    }
  }

  HD void add_roi(const Block& g, int64_t r, int64_t row, int64_t begin, int64_t end,
                  T* line) const {
    const Axis rows = grid.rows(rois + r * kRoiColumns);
    const Axis columns = grid.columns(rois + r * kRoiColumns);
    const double share = 1 / samples_in_bin(rows, columns);
    int first_p, last_p, first_q, last_q;
    rows.bins_near(row, &first_p, &last_p);
    auto* row_weights = g.scratch<double>();
    g.sync();
    for (int p = first_p + g.rank(); p <= last_p; p += g.size())
      row_weights[p] = share * rows.weight(p, row);
    g.sync();
    for (int64_t column = begin; column < end; ++column) {
      columns.bins_near(column, &first_q, &last_q);
      for (int q = first_q; q <= last_q; ++q) {
        const double column_weight = columns.weight(q, column);
        if (column_weight == 0) continue;
        for (int p = first_p; p <= last_p; ++p) {
          const int64_t bin = (r * grid.out_h + p) * grid.out_w + q;
          const T w = T(row_weights[p] * column_weight);
          if (w != T(0)) add_bin(g, w, dy + bin * channels, line + column * channels);
        }
      }
    }
  }

  HD void add_bin(const Block& g, T w, const T* __restrict__ from, T* __restrict__ to) const {
    for (int64_t c = g.rank(); c < channels; c += g.size()) to[c] += w * from[c];
  }
};

// Image and level of every RoI, on the host, checked.
struct Assignment {
  std::vector<int32_t> image, level;
};

Assignment assign(const Tensor& rois, const Tensor& level_of_roi, int64_t images, size_t levels) {
  Assignment all;
  const std::vector<float> values = rois.to_vector<float>();
  const std::vector<int32_t> level = level_of_roi.cast(DType::kI32).to_vector<int32_t>();
  for (size_t r = 0; r < level.size(); ++r) {
    const float* roi = values.data() + r * kRoiColumns;
    check(roi[0] >= 0 && roi[0] < float(images) && roi[0] == std::floor(roi[0]), "roi_align: RoI ",
          r, " is of image ", roi[0], " of ", images);
    check(level[r] >= 0 && size_t(level[r]) < levels, "roi_align: RoI ", r, " is of level ",
          level[r], " of ", levels);
    for (int i = 1; i < kRoiColumns; ++i)
      check(std::abs(roi[i]) <= kMaxCoordinate_px, "roi_align: RoI ", r, " has the coordinate ",
            roi[i], "; expected finite pixels");
    all.image.push_back(int32_t(roi[0]));
    all.level.push_back(level[r]);
  }
  return all;
}

// The RoIs of one level by image, in their order, and where each image begins.
struct Lists {
  Tensor list, starts;
};

Lists lists_of(const Assignment& all, int32_t level, int64_t images, Device device) {
  std::vector<int32_t> list, starts(size_t(images) + 1, 0);
  for (size_t r = 0; r < all.image.size(); ++r)
    if (all.level[r] == level) starts[size_t(all.image[r]) + 1] += 1;
  for (size_t n = 0; n < size_t(images); ++n) starts[n + 1] += starts[n];
  list.resize(size_t(starts.back()));
  std::vector<int32_t> next = starts;
  for (size_t r = 0; r < all.image.size(); ++r)
    if (all.level[r] == level) list[size_t(next[size_t(all.image[r])]++)] = int32_t(r);
  return {Tensor::from(list, {int64_t(list.size())}, device),
          Tensor::from(starts, {images + 1}, device)};
}

Grid grid_of(const Shape& features, double scale, const RoiAlignSpec& spec) {
  return {features[1], features[2],         scale,       spec.out_h,
          spec.out_w,  spec.sampling_ratio, spec.aligned};
}

int threads_for(int64_t channels) {
  return int(clamp_<int64_t>((channels + 31) / 32 * 32, 32, 256));
}

template <class T>
Tensor forward(const std::vector<Variable>& features, const std::vector<Grid>& grids,
               const Tensor& rois, const Tensor& level_of_roi) {
  const int64_t channels = features[0].dim(3), count = rois.dim(0);
  const Grid& grid = grids[0];
  Tensor y = Tensor::empty({count, grid.out_h, grid.out_w, channels}, features[0].dtype(),
                           features[0].device());
  Forward<T> kernel{
      {}, rois.data<float>(), level_of_roi.data<int32_t>(), y.mutable_data<T>(), channels};
  for (size_t i = 0; i < features.size(); ++i)
    kernel.levels[i] = {grids[i], features[i].value().data<T>()};
  parallel_blocks("roi_align", y.stream(), count * grid.out_h * grid.out_w, threads_for(channels),
                  0, kernel, 0, int64_t(y.bytes()));
  return y;
}

// The gradient of one level's features.
template <class T>
Tensor backward_level(const Tensor& dy, const Shape& shape, const Grid& grid, const Tensor& rois,
                      const Lists& lists) {
  Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
  const int64_t count = lists.list.size(), channels = shape[3];
  Tensor bounds = Tensor::empty({count, 4}, DType::kI32, dy.device());
  auto* found = reinterpret_cast<Bounds*>(bounds.mutable_data<int32_t>());
  parallel_for("roi_align.bounds", dy.stream(), count,
               FindBounds{grid, rois.data<float>(), lists.list.data<int32_t>(), found});
  const int64_t tiles = (grid.width + Backward<T>::kTile - 1) / Backward<T>::kTile;
  parallel_blocks("roi_align.backward", dy.stream(), shape[0] * grid.height * tiles,
                  threads_for(channels), size_t(grid.out_h) * sizeof(double),
                  Backward<T>{grid, rois.data<float>(), lists.list.data<int32_t>(),
                              lists.starts.data<int32_t>(), found, dy.data<T>(),
                              dx.mutable_data<T>(), channels, tiles},
                  0, int64_t(dx.bytes()));
  return dx;
}

void check_arguments(const std::vector<Variable>& features, const std::vector<double>& scales,
                     const Tensor& rois, const Tensor& level_of_roi, const RoiAlignSpec& spec) {
  check(!features.empty() && features.size() <= kMaxLevels && features.size() == scales.size(),
        "roi_align: ", features.size(), " levels with ", scales.size(), " scales; expected 1 to ",
        kMaxLevels, " of both");
  for (const Variable& x : features) {
    check_shape(x.value(), {features[0].dim(0), -1, -1, features[0].dim(-1)},
                "roi_align: features");
    check(x.dtype() == features[0].dtype() && x.device() == rois.device(), "roi_align: features ",
          x.value(), " with rois ", rois, "; expected one type and device");
    check(x.dim(1) > 0 && x.dim(2) > 0, "roi_align: features ", x.value(), " have no pixels");
  }
  check_shape(rois, {-1, kRoiColumns}, "roi_align: rois");
  check(rois.dtype() == DType::kF32, "roi_align: rois are ", rois.dtype(), "; expected f32");
  check_shape(level_of_roi, {rois.dim(0)}, "roi_align: level_of_roi");
  check(level_of_roi.dtype() == DType::kI32 || level_of_roi.dtype() == DType::kI64,
        "roi_align: level_of_roi is ", level_of_roi.dtype(), "; expected i32 or i64");
  check(level_of_roi.device() == rois.device(), "roi_align: level_of_roi is ", level_of_roi,
        " and rois ", rois, "; expected one device");
  for (double scale : scales)
    check(scale > 0 && scale <= 64, "roi_align: spatial scale ", scale, "; expected (0, 64]");
  check(spec.out_h > 0 && spec.out_w > 0 && spec.sampling_ratio >= 0, "roi_align: ", spec.out_h,
        "x", spec.out_w, " bins, sampling ratio ", spec.sampling_ratio);
}

}  // namespace

Variable roi_align(const Variable& features, const Tensor& rois, double spatial_scale,
                   const RoiAlignSpec& spec) {
  check_shape(rois, {-1, kRoiColumns}, "roi_align: rois");
  return roi_align_levels({features}, {spatial_scale}, rois,
                          Tensor::zeros({rois.dim(0)}, DType::kI32, rois.device()), spec);
}

Variable roi_align_levels(const std::vector<Variable>& features, const std::vector<double>& scales,
                          const Tensor& rois, const Tensor& level_of_roi,
                          const RoiAlignSpec& spec) {
  check_arguments(features, scales, rois, level_of_roi, spec);
  const int64_t images = features[0].dim(0);
  const Assignment all = assign(rois, level_of_roi, images, features.size());
  std::vector<Grid> grids;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < features.size(); ++i) {
    shapes.push_back(features[i].shape());
    grids.push_back(grid_of(shapes.back(), scales[i], spec));
  }
  const Tensor y = dispatch_float(features[0].dtype(), [&](auto t) {
    return forward<decltype(t)>(features, grids, rois, level_of_roi.cast(DType::kI32));
  });
  return record("roi_align", y, features, [=](const Tensor& dy, Gradients& dx) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (!dx.needs(i)) continue;
      const Lists lists = lists_of(all, int32_t(i), images, dy.device());
      if (lists.list.size() == 0) continue;
      dx.give(i, dispatch_float(dy.dtype(), [&](auto t) {
                return backward_level<decltype(t)>(dy, shapes[i], grids[i], rois, lists);
              }));
    }
  });
}

std::vector<Window> roi_align_windows(const Shape& features, double spatial_scale,
                                      const Tensor& rois, const Tensor& level_of_roi, int64_t level,
                                      const RoiAlignSpec& spec) {
  check_shape(rois, {-1, kRoiColumns}, "roi_align: rois");
  check_shape(level_of_roi, {rois.dim(0)}, "roi_align: level_of_roi");
  const Assignment all = assign(rois, level_of_roi, features[0], kMaxLevels);
  const Grid grid = grid_of(features, spatial_scale, spec);
  const std::vector<float> values = rois.to_vector<float>();
  auto windows = std::vector<Window>(size_t(features[0]));
  for (size_t r = 0; r < all.image.size(); ++r) {
    if (all.level[r] != level) continue;
    int top, bottom, left, right;
    grid.rows(values.data() + r * kRoiColumns).pixels(&top, &bottom);
    grid.columns(values.data() + r * kRoiColumns).pixels(&left, &right);
    const Window read{top, bottom + 1, left, right + 1};
    Window& w = windows[size_t(all.image[r])];
    if (w.empty())
      w = read;
    else if (!read.empty())
      w = {std::min(w.top, read.top), std::max(w.bottom, read.bottom), std::min(w.left, read.left),
           std::max(w.right, read.right)};
  }
  return windows;
}

}  // namespace bbam
