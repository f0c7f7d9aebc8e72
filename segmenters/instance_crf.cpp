#include "segmenters/instance_crf.h"

#include <algorithm>
#include <cmath>

#include "layers/elementwise.h"
#include "layers/resize.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

constexpr double kLeastDivisor = 1e-8;  // of a mask whose ranked value is 0

int64_t pixels_of(const Window& w) {
  return w.empty() ? 0 : (w.bottom - w.top) * (w.right - w.left);
}

Variable cut(const Variable& x, const Window& w) {
  return slice(slice(x, 0, w.top, w.bottom), 1, w.left, w.right);
}

// (h, w, C) f32 -> (height, width, C)
Variable resized(const Variable& x, int64_t height, int64_t width) {
  const Shape one{1, x.shape()[0], x.shape()[1], x.shape()[2]};
  return reshape(resize_bilinear(reshape(x, one), height, width, Corners::kHalfPixel),
                 {height, width, x.shape()[2]});
}

// The share of the window's pixels becomes certain.
Tensor with_certain_share(const Tensor& mask, const Window& window, double share) {
  const int64_t pixels = pixels_of(window);
  const Tensor values = reshape(cut(Variable(mask), window), {pixels}).value();
  const int64_t rank = std::min(int64_t(double(pixels) * share), pixels - 1);
  const Tensor ranked = top_k(values, rank + 1).rows(rank, rank + 1);
  const double divisor = take_rows(values, ranked).to(kCpu).scalar() + kLeastDivisor;
  return clamp(scale(Variable(mask), 1 / divisor), 0, 1).value();
}

// One object, looked at through its part of the picture. mask: (H, W), photograph: (H, W, 3).
Tensor refined_by_zoom(const Tensor& mask, const Window& part, const Tensor& photograph,
                       const DenseCrfOptions& crf) {
  const int64_t height = mask.dim(0), width = mask.dim(1);
  const Variable pixels = resized(cut(Variable(photograph.cast(DType::kF32)), part), height, width);
  const Tensor levels = shift(pixels, 0.5).value().cast(DType::kU8);
  const Variable stretched =
      resized(cut(Variable(mask.reshape({height, width, 1})), part), height, width);
  const Tensor marginals = DenseCrf(levels, crf).infer_foreground(stretched.value());
  const Variable back =
      resized(Variable(marginals), part.bottom - part.top, part.right - part.left);
  return pad_zeros(pad_zeros(back, 0, part.top, height - part.bottom), 1, part.left,
                   width - part.right)
      .value()
      .reshape({height, width});
}

// All of them at once: they share the photograph's kernels. masks: (H, W) each.
std::vector<Tensor> refined_whole(const std::vector<Tensor>& masks, const Tensor& photograph,
                                  const DenseCrfOptions& crf) {
  if (masks.empty()) return {};
  const int64_t height = photograph.dim(0), width = photograph.dim(1);
  std::vector<Variable> planes;
  for (const Tensor& mask : masks) planes.emplace_back(mask.reshape({height, width, 1}));
  const Variable marginals(DenseCrf(photograph, crf).infer_foreground(concat(planes, 2).value()));
  std::vector<Tensor> refined;
  for (int64_t k = 0; k < int64_t(masks.size()); ++k)
    refined.push_back(slice(marginals, 2, k, k + 1).value().reshape({height, width}));
  return refined;
}

void check_input(const std::vector<Tensor>& masks, const std::vector<Window>& windows,
                 const Tensor& photograph, const InstanceCrfSpec& spec) {
  check_shape(photograph, {-1, -1, 3}, "refine_instances: photograph");
  check(photograph.dtype() == DType::kU8, "refine_instances: photograph ", photograph,
        "; expected u8");
  const int64_t height = photograph.dim(0), width = photograph.dim(1);
  check(masks.size() == windows.size(), "refine_instances: ", masks.size(), " masks, ",
        windows.size(), " windows");
  for (size_t k = 0; k < masks.size(); ++k) {
    check(masks[k].defined() && masks[k].dtype() == DType::kF32 &&
              masks[k].shape() == Shape{height, width},
          "refine_instances: mask ", k, " is ", masks[k], "; expected f32", Shape{height, width});
    const Window& w = windows[k];
    check(w.empty() || (w.top >= 0 && w.left >= 0 && w.bottom <= height && w.right <= width),
          "refine_instances: window ", k, ", rows ", w.top, " to ", w.bottom, ", columns ", w.left,
          " to ", w.right, ", leaves the picture of ", height, " x ", width);
  }
  for (const double share : {spec.certain_share, spec.tiny_certain_share})
    check(share >= 0 && share < 1, "refine_instances: certain share ", share,
          "; expected from 0 to below 1");
  check(spec.zoom >= 1 && std::isfinite(spec.zoom), "refine_instances: zoom ", spec.zoom,
        "; expected at least 1");
}

}  // namespace

Window zoomed_part(const Window& window, double zoom, int64_t height, int64_t width) {
  const auto begin = [zoom](int64_t at) { return int64_t(double(at) * (1 - 1 / zoom)); };
  const auto end = [zoom](int64_t at, int64_t extent) {
    return int64_t((double(extent) + (zoom - 1) * double(at)) / zoom);
  };
  return {begin(window.top), end(window.bottom, height), begin(window.left),
          end(window.right, width)};
}

std::vector<Tensor> refine_instances(const std::vector<Tensor>& masks,
                                     const std::vector<Window>& windows, const Tensor& photograph,
                                     const InstanceCrfSpec& spec) {
  check_input(masks, windows, photograph, spec);
  const NoGrad constant;
  const int64_t height = photograph.dim(0), width = photograph.dim(1);
  std::vector<Tensor> refined(masks.size()), whole;
  std::vector<size_t> places;
  for (size_t k = 0; k < masks.size(); ++k) {
    const int64_t pixels = pixels_of(windows[k]);
    if (pixels == 0) {
      refined[k] = Tensor::zeros({height, width}, DType::kF32, photograph.device());
      continue;
    }
    const double share = pixels > spec.tiny_px ? spec.certain_share : spec.tiny_certain_share;
    const Tensor mask = with_certain_share(masks[k], windows[k], share);
    if (spec.zoom > 1 && pixels < spec.zoom_below_px) {
      const Window part = zoomed_part(windows[k], spec.zoom, height, width);
      refined[k] = refined_by_zoom(mask, part, photograph, spec.crf);
    } else {
      whole.push_back(mask);
      places.push_back(k);
    }
  }
  const std::vector<Tensor> at_once = refined_whole(whole, photograph, spec.crf);
  for (size_t i = 0; i < places.size(); ++i) refined[places[i]] = at_once[i];
  return refined;
}

}  // namespace bbam
