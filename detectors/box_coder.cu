#include "detectors/box_coder.h"

#include "detectors/boxes.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

template <class T>
struct Weights {
  T x, y, w, h;
};

template <class T>
Weights<T> weights_of(const BoxCoderSpec& spec) {
  const auto& w = spec.weights;
  return {T(w[0]), T(w[1]), T(w[2]), T(w[3])};
}

template <class T>
struct EncodeBoxes {
  const T* boxes;
  const T* references;
  T* deltas;
  Weights<T> weights;

  HD void operator()(int64_t i) const {
    const Box<T> box = box_at(boxes, i), reference = box_at(references, i);
    const T w = box.x1 - box.x0, h = box.y1 - box.y0;
    const T w_ref = reference.x1 - reference.x0, h_ref = reference.y1 - reference.y0;
    const T dx = (box.x0 + T(0.5) * w) - (reference.x0 + T(0.5) * w_ref);
    const T dy = (box.y0 + T(0.5) * h) - (reference.y0 + T(0.5) * h_ref);
    deltas[4 * i] = weights.x * dx / w_ref;
    deltas[4 * i + 1] = weights.y * dy / h_ref;
    deltas[4 * i + 2] = weights.w * log(w / w_ref);
    deltas[4 * i + 3] = weights.h * log(h / h_ref);
  }
};

template <class T>
struct DecodeBoxes {
  const T* deltas;
  const T* references;
  T* boxes;
  int64_t per_reference;
  Weights<T> weights;
  T largest_log_scale;

  HD void operator()(int64_t i) const {
    const Box<T> reference = box_at(references, i / per_reference);
    const T w_ref = reference.x1 - reference.x0, h_ref = reference.y1 - reference.y0;
    const T cx = deltas[4 * i] / weights.x * w_ref + reference.x0 + T(0.5) * w_ref;
    const T cy = deltas[4 * i + 1] / weights.y * h_ref + reference.y0 + T(0.5) * h_ref;
    const T w = exp(min_(deltas[4 * i + 2] / weights.w, largest_log_scale)) * w_ref;
    const T h = exp(min_(deltas[4 * i + 3] / weights.h, largest_log_scale)) * h_ref;
    boxes[4 * i] = cx - T(0.5) * w;
    boxes[4 * i + 1] = cy - T(0.5) * h;
    boxes[4 * i + 2] = cx + T(0.5) * w;
    boxes[4 * i + 3] = cy + T(0.5) * h;
  }
};

}  // namespace

Tensor encode_boxes(const Tensor& boxes, const Tensor& references, const BoxCoderSpec& spec) {
  check_shape(boxes, {-1, 4}, "encode_boxes: boxes");
  check_same(boxes, references, "encode_boxes: boxes and references");
  Tensor deltas = Tensor::empty_like(boxes);
  dispatch_float(boxes.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for("encode_boxes", boxes.stream(), boxes.dim(0),
                 EncodeBoxes<T>{boxes.data<T>(), references.data<T>(), deltas.mutable_data<T>(),
                                weights_of<T>(spec)});
  });
  return deltas;
}

Tensor decode_boxes(const Tensor& deltas, const Tensor& references, const BoxCoderSpec& spec) {
  check_shape(references, {-1, 4}, "decode_boxes: references");
  check_shape(deltas, {references.dim(0), -1}, "decode_boxes: deltas");
  check(deltas.dim(1) % 4 == 0, "decode_boxes: deltas is ", deltas, "; expected (R, 4 K)");
  check(deltas.dtype() == references.dtype() && deltas.device() == references.device(),
        "decode_boxes: deltas is ", deltas, ", references is ", references,
        "; expected one type and device");
  Tensor boxes = Tensor::empty_like(deltas);
  dispatch_float(deltas.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for("decode_boxes", deltas.stream(), deltas.size() / 4,
                 DecodeBoxes<T>{deltas.data<T>(), references.data<T>(), boxes.mutable_data<T>(),
                                deltas.dim(1) / 4, weights_of<T>(spec), T(spec.largest_log_scale)});
  });
  return boxes;
}

}  // namespace bbam
