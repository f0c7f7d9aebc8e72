#include "detectors/roi_heads.h"

#include <algorithm>

#include "detectors/boxes.h"
#include "layers/elementwise.h"
#include "layers/losses.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

struct ImageSample {
  Tensor boxes, targets;  // (S, 4) and (P, 4)
  std::vector<int64_t> labels;
  std::vector<int64_t> objects;  // (P)
};

// The class of each candidate; 0 for background, -1 for what is not trained on.
Tensor labels_of(const Tensor& matched, const Tensor& classes) {
  std::vector<int64_t> labels = matched.to_vector<int64_t>();
  const std::vector<int64_t> class_of = classes.to_vector<int64_t>();
  for (int64_t& label : labels)
    label = label >= 0 ? class_of[size_t(label)] : label == kMatchedBackground ? 0 : -1;
  return Tensor::from(labels);
}

ImageSample sample_image(const Tensor& proposals, const GroundTruth& truth,
                         const RoiHeadsSpec& spec, const Random& random) {
  const Tensor candidates = concat({Variable(proposals), Variable(truth.boxes)}, 0).value();
  const Tensor matched = match(iou_matrix(truth.boxes, candidates), spec.matcher);
  const Tensor labels = labels_of(matched, truth.labels);
  const Sample drawn = sample_labels(labels, spec.sampler, random);

  const Tensor positives = Tensor::from(drawn.positives);
  const Tensor objects = take_rows(matched, positives);
  const Tensor boxes = take_rows(truth.boxes, objects);
  std::vector<int64_t> rows = drawn.positives;
  rows.insert(rows.end(), drawn.negatives.begin(), drawn.negatives.end());
  const Tensor all = Tensor::from(rows);
  return {take_rows(candidates, all),
          encode_boxes(boxes, take_rows(candidates, positives), spec.coder),
          take_rows(labels, all).to_vector<int64_t>(), objects.to_vector<int64_t>()};
}

}  // namespace

BoxHead::BoxHead(int64_t channels, int64_t classes, const RoiHeadsSpec& spec, Initializer& init) {
  const int64_t bins = spec.pooler.bins, width = spec.head_width;
  fc6 = Linear(init.lecun_uniform({width, bins * bins * channels}));
  fc7 = Linear(init.lecun_uniform({width, width}));
  cls_score = Linear(init.normal({classes + 1, width}, 0.01));
  bbox_pred = Linear(init.normal({4 * (classes + 1), width}, 0.001));
}

BoxHeadOutput BoxHead::operator()(const Variable& pooled) const {
  const Variable flat = reshape(pooled, {pooled.dim(0), fc6.weight.dim(1)});
  const Variable hidden = relu(fc7(relu(fc6(flat))));
  return {cls_score(hidden), bbox_pred(hidden)};
}

void BoxHead::visit(const std::string& prefix, const ParameterVisitor& f) {
  fc6.visit(prefix + "box_head.fc6.", f);
  fc7.visit(prefix + "box_head.fc7.", f);
  cls_score.visit(prefix + "box_predictor.cls_score.", f);
  bbox_pred.visit(prefix + "box_predictor.bbox_pred.", f);
}

Tensor rois_of(const std::vector<Tensor>& boxes) {
  std::vector<Variable> parts;
  for (size_t n = 0; n < boxes.size(); ++n) {
    check_shape(boxes[n], {-1, 4}, "rois_of: boxes");
    const Tensor image =
        Tensor::full({boxes[n].dim(0), 1}, double(n), DType::kF32, boxes[n].device());
    parts.push_back(concat({Variable(image), Variable(boxes[n])}, 1));
  }
  return concat(parts, 0).value();
}

RoiSample sample_rois(const std::vector<Proposals>& proposals,
                      const std::vector<GroundTruth>& truth, const RoiHeadsSpec& spec,
                      StepSeed step) {
  const Device device = proposals.at(0).boxes.device();
  std::vector<Tensor> boxes;
  std::vector<Variable> targets;
  std::vector<int64_t> labels, positive_rows, objects;
  for (size_t n = 0; n < proposals.size(); ++n) {
    const Random random = sampling_random(step, SampledFor::kRoiHeads, int64_t(n));
    const ImageSample of_image = sample_image(proposals[n].boxes.to(kCpu), truth[n], spec, random);
    for (int64_t p = 0; p < of_image.targets.dim(0); ++p)
      positive_rows.push_back(int64_t(labels.size()) + p);
    boxes.push_back(of_image.boxes);
    targets.emplace_back(of_image.targets);
    labels.insert(labels.end(), of_image.labels.begin(), of_image.labels.end());
    objects.insert(objects.end(), of_image.objects.begin(), of_image.objects.end());
  }
  return {rois_of(boxes).to(device), Tensor::from(labels).to(device),
          Tensor::from(positive_rows).to(device), Tensor::from(objects).to(device),
          concat(targets, 0).value().to(device)};
}

BoxHeadLosses box_head_losses(const BoxHeadOutput& output, const RoiSample& sample, double beta) {
  const int64_t count = sample.labels.dim(0);
  const double share = 1.0 / double(std::max<int64_t>(1, count));
  const Variable per_class = reshape(output.deltas, {count, -1, 4});
  const Variable of_positives = gather_rows(per_class, sample.positive_rows);
  const Variable of_class =
      gather_columns(of_positives, take_rows(sample.labels, sample.positive_rows));
  const Variable box =
      smooth_l1(of_class, sample.targets.cast(output.deltas.dtype()), beta, Reduction::kSum);
  return {cross_entropy(output.class_logits, sample.labels, Reduction::kMean), scale(box, share)};
}

}  // namespace bbam
