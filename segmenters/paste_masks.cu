#include "segmenters/paste_masks.h"

#include <cmath>

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

constexpr double kMaxCoordinate_px = 1e6;

// The pixels [first, first + count) that the mask with its border is resized to, along one axis.
struct Span {
  int64_t first, count;
};

Span span_of(double begin_px, double end_px, int64_t cells) {
  const double last = end_px - 1;
  const double centre = (begin_px + last) / 2;
  const double half = (last - begin_px) / 2 * double(cells + 2) / double(cells);
  const auto low = int64_t(centre - half), high = int64_t(centre + half);  // towards 0
  return {low, max_(high - low + 1, int64_t(1))};
}

// Where a pixel lies among the cells with their border.
struct CellPlace {
  int64_t low, high;  // border included: 0 and cells + 1 are outside the mask
  float share;        // of `high`

  HD CellPlace(const Span& span, int64_t pixel, int64_t cells) {
    const float scale = float(cells + 2) / float(span.count);
    const float at = max_((float(pixel - span.first) + 0.5f) * scale - 0.5f, 0.f);
    low = min_(int64_t(at), cells + 1);
    high = min_(low + 1, cells + 1);
    share = at - float(low);
  }
};

struct Paste {
  const float* mask;  // (cells, cells)
  float* pasted;
  int64_t width, cells;
  Span rows, columns;

  HD static bool is_inside(const Span& span, int64_t pixel) {
    return pixel >= span.first && pixel < span.first + span.count;
  }
  HD float cell(int64_t row, int64_t column) const {
    const bool is_border = row < 1 || row > cells || column < 1 || column > cells;
    return is_border ? 0.f : mask[(row - 1) * cells + column - 1];
  }
  HD void operator()(int64_t i) const {
    const int64_t y = i / width, x = i % width;
    pasted[i] = 0;
    if (!is_inside(rows, y) || !is_inside(columns, x)) return;
    const CellPlace v(rows, y, cells), u(columns, x, cells);
    const float top = (1 - u.share) * cell(v.low, u.low) + u.share * cell(v.low, u.high);
    const float bottom = (1 - u.share) * cell(v.high, u.low) + u.share * cell(v.high, u.high);
    pasted[i] = (1 - v.share) * top + v.share * bottom;
  }
};

struct Above {
  const float* x;
  uint8_t* y;
  float threshold;
  HD void operator()(int64_t i) const { y[i] = uint8_t(x[i] > threshold); }
};

void check_box(const Box<float>& box) {
  for (const float corner : {box.x0, box.y0, box.x1, box.y1})
    check(std::isfinite(corner) && std::abs(corner) <= kMaxCoordinate_px, "paste_mask: box (",
          box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1, "); expected finite pixels up to ",
          kMaxCoordinate_px);
}

}  // namespace

Tensor paste_mask(const Tensor& probabilities, const Box<float>& box, FrameSize frame) {
  const int64_t cells = probabilities.rank() == 2 ? probabilities.dim(0) : 0;
  check(cells >= 1 && probabilities.dim(1) == cells, "paste_mask of ", probabilities,
        "; expected f32 (M, M)");
  check_box(box);
  Tensor pasted = Tensor::empty({frame.height, frame.width}, DType::kF32, probabilities.device());
  const Paste kernel{
      probabilities.data<float>(),    pasted.mutable_data<float>(),  frame.width, cells,
      span_of(box.y0, box.y1, cells), span_of(box.x0, box.x1, cells)};
  parallel_for("paste_mask", pasted.stream(), pasted.size(), kernel, 0, int64_t(pasted.bytes()));
  return pasted;
}

Window pasted_window(const Box<float>& box, int64_t cells, FrameSize frame) {
  check_box(box);
  const Span rows = span_of(box.y0, box.y1, cells), columns = span_of(box.x0, box.x1, cells);
  const auto within = [](int64_t at, int64_t extent) { return max_(int64_t(0), min_(at, extent)); };
  return {within(rows.first, frame.height), within(rows.first + rows.count, frame.height),
          within(columns.first, frame.width), within(columns.first + columns.count, frame.width)};
}

Tensor pasted_above(const Tensor& pasted, double threshold) {
  check_shape(pasted, {-1, -1}, "pasted_above");
  Tensor mask = Tensor::empty(pasted.shape(), DType::kU8, pasted.device());
  parallel_for("pasted_above", mask.stream(), mask.size(),
               Above{pasted.data<float>(), mask.mutable_data<uint8_t>(), float(threshold)});
  return mask;
}

}  // namespace bbam
