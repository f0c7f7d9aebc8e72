#include "detectors/retinanet_loss.h"

#include <algorithm>

#include "detectors/boxes.h"
#include "detectors/rpn.h"
#include "layers/elementwise.h"
#include "layers/losses.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

Tensor join_rows(const std::vector<Tensor>& parts) {
  return concat(std::vector<Variable>(parts.begin(), parts.end()), 0).value();
}

// 1 over what an image's sums are divided by.
struct Shares {
  double classes, boxes;
};

Shares shares_of(int64_t positives_of_image, int64_t positives, int64_t images, LossShare share) {
  if (share == LossShare::kBatch)
    return {1.0 / double(positives + images), 1.0 / double(std::max<int64_t>(1, positives))};
  const double each = 1.0 / double(images * std::max<int64_t>(1, positives_of_image));
  return {each, each};
}

}  // namespace

RetinaNetTargets retinanet_targets(const std::vector<Tensor>& anchors,
                                   const std::vector<GroundTruth>& truth,
                                   const RetinaNetLossSpec& spec) {
  const Tensor all = join_rows(anchors).to(kCpu);
  const auto images = int64_t(truth.size());
  std::vector<int64_t> labels, rows, positives_of;
  std::vector<Tensor> offsets;
  for (const GroundTruth& of_image : truth) {
    const Tensor matched = match(iou_matrix(of_image.boxes, all), spec.matcher);
    const auto classes = of_image.labels.to_vector<int64_t>();
    std::vector<int64_t> positives, boxes;
    for (const int64_t m : matched.to_vector<int64_t>()) {
      if (m >= 0) {
        positives.push_back(int64_t(labels.size()) % all.dim(0));
        rows.push_back(int64_t(labels.size()));
        boxes.push_back(m);
      }
      labels.push_back(m >= 0 ? classes[size_t(m)] : m == kMatchedBackground ? 0 : -1);
    }
    positives_of.push_back(int64_t(positives.size()));
    offsets.push_back(encode_boxes(take_rows(of_image.boxes, Tensor::from(boxes)),
                                   take_rows(all, Tensor::from(positives)), spec.coder));
  }
  std::vector<double> class_weights, box_weights;
  for (const int64_t positives : positives_of) {
    const Shares shares = shares_of(positives, int64_t(rows.size()), images, spec.share);
    class_weights.insert(class_weights.end(), size_t(all.dim(0)), shares.classes);
    box_weights.insert(box_weights.end(), size_t(positives), spec.box_weight * shares.boxes);
  }
  return {Tensor::from(labels), Tensor::from(class_weights), Tensor::from(rows), join_rows(offsets),
          Tensor::from(box_weights, {int64_t(rows.size()), 1})};
}

Variable RetinaNetLosses::total() const { return add(classification, box); }

RetinaNetLosses retinanet_losses(const RetinaNetOutput& output, const RetinaNetTargets& targets,
                                 int64_t classes, const RetinaNetLossSpec& spec) {
  const Variable logits = reshape(join_levels(output.class_logits, classes), {-1, classes});
  const Variable deltas = reshape(join_levels(output.deltas, 4), {-1, 4});
  const auto like_deltas = [&](const Tensor& constant) {
    return constant.cast(deltas.dtype()).to(deltas.device());
  };
  const Variable of_positives = gather_rows(deltas, targets.positive_rows.to(deltas.device()));
  return {sigmoid_focal_loss(logits, targets.labels, spec.alpha, spec.gamma, Reduction::kSum, -1,
                             like_deltas(targets.class_weights)),
          smooth_l1(of_positives, like_deltas(targets.offsets), spec.beta, Reduction::kSum,
                    like_deltas(targets.box_weights))};
}

}  // namespace bbam
