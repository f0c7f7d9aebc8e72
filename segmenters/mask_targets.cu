// P regions, M cells per side, K objects.
#include "segmenters/mask_targets.h"

#include <cmath>

#include "detectors/boxes.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// A cell along one axis, in units of 1/M pixel: there all corners of cells and pixels are sums of
// products of few bits, so that a cell of which exactly half is covered is found to be so.
struct CellAxis {
  double low, high;
  int64_t first, last;  // pixels that it touches, inside the picture; last < first: none

  HD CellAxis(double begin_px, double end_px, int64_t cell, int64_t cells, int64_t extent) {
    low = double(cells) * begin_px + (end_px - begin_px) * double(cell);
    high = double(cells) * begin_px + (end_px - begin_px) * double(cell + 1);
    first = int64_t(clamp_(floor(low / double(cells)), 0.0, double(extent)));
    last = int64_t(clamp_(ceil(high / double(cells)), 0.0, double(extent))) - 1;
  }
  HD double overlap(int64_t pixel, int64_t cells) const {
    return max_(0.0, min_(high, double(cells * (pixel + 1))) - max_(low, double(cells * pixel)));
  }
};

// The cells of the regions of one image; others are left alone.
struct SeedsOfCells {
  const uint8_t* masks;  // (K, h, w)
  const float* rois;
  const int64_t* objects;
  uint8_t* seeds;
  int64_t height, width, side, image;

  HD void operator()(int64_t i) const {
    const int64_t p = i / (side * side);
    const float* roi = rois + 5 * p;
    if (int64_t(roi[0]) != image) return;
    const CellAxis rows(roi[2], roi[4], i / side % side, side, height);
    const CellAxis columns(roi[1], roi[3], i % side, side, width);
    const uint8_t* mask = masks + objects[p] * height * width;
    double ones = 0, ignored = 0;  // areas
    for (int64_t y = rows.first; y <= rows.last; ++y)
      for (int64_t x = columns.first; x <= columns.last; ++x) {
        const uint8_t value = mask[y * width + x];
        const double part = rows.overlap(y, side) * columns.overlap(x, side);
        ones += value == kForegroundSeed ? part : 0.0;
        ignored += value == kNoSeed ? part : 0.0;
      }
    const double half = (rows.high - rows.low) * (columns.high - columns.low) / 2;
    seeds[i] = ones >= half ? kForegroundSeed : ones + ignored >= half ? kNoSeed : kBackgroundSeed;
  }
};

void check_region(const float* roi, int64_t p, int64_t object, const std::vector<Tensor>& masks) {
  const bool is_image = roi[0] >= 0 && roi[0] < float(masks.size());
  check(is_image, "mask_targets: region ", p, " lies on image ", roi[0], " of ", masks.size());
  const int64_t objects = masks[size_t(roi[0])].dim(0);
  check(object >= 0 && object < objects, "mask_targets: region ", p, " is matched to object ",
        object, " of the ", objects, " of image ", roi[0]);
  const Box<float> box{roi[1], roi[2], roi[3], roi[4]};
  const bool is_finite = std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) &&
                         std::isfinite(box.y1);
  check(is_finite && box.x1 > box.x0 && box.y1 > box.y0, "mask_targets: region ", p, " is (",
        box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1, "); expected finite x0 < x1 and y0 < y1");
}

}  // namespace

Tensor mask_targets(const std::vector<Tensor>& masks, const Tensor& rois, const Tensor& objects,
                    int64_t side) {
  check_shape(rois, {-1, 5}, "mask_targets: rois");
  check_shape(objects, {rois.dim(0)}, "mask_targets: objects");
  check(side >= 1, "mask_targets: ", side, " cells per side; expected at least 1");
  for (const Tensor& of_image : masks) check_shape(of_image, {-1, -1, -1}, "mask_targets: masks");
  const Tensor host_rois = rois.to(kCpu);
  const std::vector<int64_t> host_objects = objects.to(kCpu).to_vector<int64_t>();
  for (int64_t p = 0; p < rois.dim(0); ++p)
    check_region(host_rois.data<float>() + 5 * p, p, host_objects[size_t(p)], masks);

  const Device device = rois.device();
  const Tensor objects_here = objects.to(device);
  Tensor seeds = Tensor::empty({rois.dim(0), side, side}, DType::kU8, device);
  for (size_t n = 0; n < masks.size(); ++n) {
    const Tensor here = masks[n].to(device);
    const SeedsOfCells kernel{here.data<uint8_t>(),
                              rois.data<float>(),
                              objects_here.data<int64_t>(),
                              seeds.mutable_data<uint8_t>(),
                              here.dim(1),
                              here.dim(2),
                              side,
                              int64_t(n)};
    parallel_for("mask_targets", seeds.stream(), seeds.size(), kernel);
  }
  return seeds;
}

}  // namespace bbam
