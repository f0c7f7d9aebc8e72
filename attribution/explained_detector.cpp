#include "attribution/explained_detector.h"

#include "layers/shape_ops.h"
#include "layers/softmax.h"

namespace bbam {

Tensor label_of_each_row(const BoxPredictions& predictions, int64_t label) {
  const int64_t rows = predictions.class_logits.dim(0), classes = predictions.class_logits.dim(1);
  check(label >= 1 && label < classes, "class ", label, "; the detector knows 1 to ", classes - 1);
  return Tensor::from(std::vector<int64_t>(size_t(rows), label));
}

Variable probabilities_of(const BoxPredictions& predictions, const Tensor& label_of_row) {
  return gather_columns(softmax(predictions.class_logits), label_of_row);
}

Variable offsets_of(const BoxPredictions& predictions, const Tensor& label_of_row) {
  const int64_t rows = predictions.deltas.dim(0), classes = predictions.deltas.dim(1) / 4;
  return gather_columns(reshape(predictions.deltas, {rows, classes, 4}), label_of_row);
}

}  // namespace bbam
