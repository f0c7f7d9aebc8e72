#include "attribution/explained_detector.h"

#include "attribution/positives.h"
#include "layers/elementwise.h"
#include "layers/shape_ops.h"
#include "layers/softmax.h"

namespace bbam {

Tensor label_of_each_row(const BoxPredictions& predictions, int64_t label) {
  const int64_t rows = predictions.class_logits.dim(0), columns = predictions.class_logits.dim(1);
  const int64_t classes = predictions.outputs == ClassOutputs::kSoftmax ? columns - 1 : columns;
  check(label >= 1 && label <= classes, "class ", label, "; the detector knows 1 to ", classes);
  return Tensor::from(std::vector<int64_t>(size_t(rows), label));
}

Variable class_probabilities(const BoxPredictions& predictions) {
  if (predictions.outputs == ClassOutputs::kSoftmax) return softmax(predictions.class_logits);
  return pad_zeros(sigmoid(predictions.class_logits), 1, 1, 0);
}

Variable probabilities_of(const BoxPredictions& predictions, const Tensor& label_of_row) {
  return gather_columns(class_probabilities(predictions), label_of_row);
}

Variable offsets_of(const BoxPredictions& predictions, const Tensor& label_of_row) {
  const int64_t rows = predictions.deltas.dim(0), kinds = predictions.deltas.dim(1) / 4;
  if (kinds == 1) return predictions.deltas;
  return gather_columns(reshape(predictions.deltas, {rows, kinds, 4}), label_of_row);
}

Tensor ExplainedDetector::candidates(const BoxArray& box, int64_t height, int64_t width,
                                     const PositiveSpec& spec, uint64_t seed) const {
  return jittered_proposals(box, height, width, spec, seed);
}

}  // namespace bbam
