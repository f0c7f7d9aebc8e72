#include "detectors/boxes.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct IouMatrix {
  const T* a;
  const T* b;
  T* result;
  int64_t columns;

  HD void operator()(int64_t i) const {
    result[i] = iou(box_at(a, i / columns), box_at(b, i % columns));
  }
};

template <class T>
struct ClipBoxes {
  const T* boxes;
  T* result;
  T width, height;
  bool legacy_plus_one;

  HD void operator()(int64_t i) const {
    const Box<T> box = clip(box_at(boxes, i), width, height, legacy_plus_one);
    result[4 * i] = box.x0;
    result[4 * i + 1] = box.y0;
    result[4 * i + 2] = box.x1;
    result[4 * i + 3] = box.y1;
  }
};

template <class T>
struct AtLeast {
  const T* boxes;
  uint8_t* result;
  T side;

  HD void operator()(int64_t i) const {
    const Box<T> box = box_at(boxes, i);
    result[i] = box.x1 - box.x0 >= side && box.y1 - box.y0 >= side;
  }
};

}  // namespace

Tensor iou_matrix(const Tensor& a, const Tensor& b) {
  check_shape(a, {-1, 4}, "iou_matrix: a");
  check_shape(b, {-1, 4}, "iou_matrix: b");
  check(a.dtype() == b.dtype() && a.device() == b.device(), "iou_matrix: a is ", a, ", b is ", b,
        "; expected one type and device");
  Tensor result = Tensor::empty({a.dim(0), b.dim(0)}, a.dtype(), a.device());
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for("iou_matrix", a.stream(), result.size(),
                 IouMatrix<T>{a.data<T>(), b.data<T>(), result.mutable_data<T>(), b.dim(0)});
  });
  return result;
}

Tensor clip_boxes(const Tensor& boxes, FrameSize frame, bool legacy_plus_one) {
  check_shape(boxes, {-1, 4}, "clip_boxes: boxes");
  Tensor result = Tensor::empty_like(boxes);
  dispatch_float(boxes.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for("clip_boxes", boxes.stream(), boxes.dim(0),
                 ClipBoxes<T>{boxes.data<T>(), result.mutable_data<T>(), T(frame.width),
                              T(frame.height), legacy_plus_one});
  });
  return result;
}

Tensor at_least(const Tensor& boxes, double side_px) {
  check_shape(boxes, {-1, 4}, "at_least: boxes");
  Tensor result = Tensor::empty({boxes.dim(0)}, DType::kU8, boxes.device());
  dispatch_float(boxes.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for("at_least", boxes.stream(), boxes.dim(0),
                 AtLeast<T>{boxes.data<T>(), result.mutable_data<uint8_t>(), T(side_px)});
  });
  return result;
}

}  // namespace bbam
