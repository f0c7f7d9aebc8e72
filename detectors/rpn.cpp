#include "detectors/rpn.h"

#include <algorithm>

#include "layers/elementwise.h"
#include "layers/losses.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

Tensor join_rows(const std::vector<Tensor>& parts) {
  return concat(std::vector<Variable>(parts.begin(), parts.end()), 0).value();
}

// (K) i64: 1 positive, 0 negative, -1 not trained on.
Tensor labels_of(const Tensor& matched, const Tensor& inside) {
  std::vector<int64_t> labels = matched.to_vector<int64_t>();
  const std::vector<uint8_t> is_inside = inside.to_vector<uint8_t>();
  for (size_t k = 0; k < labels.size(); ++k) {
    if (labels[k] == kMatchedNothing || !is_inside[k])
      labels[k] = -1;
    else
      labels[k] = labels[k] == kMatchedBackground ? 0 : 1;
  }
  return Tensor::from(labels);
}

// The same rows counted over the batch.
void append_shifted(std::vector<int64_t>& to, const std::vector<int64_t>& rows, int64_t by) {
  for (int64_t row : rows) to.push_back(row + by);
}

struct ImageSample {
  Sample sample;
  Tensor targets;  // (P, 4)
};

ImageSample sample_image(const Tensor& anchors, FrameSize frame, const GroundTruth& truth,
                         const RpnSpec& spec, bool legacy_plus_one, const Random& random) {
  const Tensor inside = spec.straddle_px < 0
                            ? Tensor::full({anchors.dim(0)}, 1, DType::kU8)
                            : inside_frame(anchors, frame, spec.straddle_px, legacy_plus_one);
  const Tensor matched = match(iou_matrix(truth.boxes, anchors), spec.matcher);
  ImageSample result;
  result.sample = sample_labels(labels_of(matched, inside), spec.sampler, random);
  const Tensor positives = Tensor::from(result.sample.positives);
  const Tensor boxes = take_rows(truth.boxes, take_rows(matched, positives));
  result.targets = encode_boxes(boxes, take_rows(anchors, positives), kRpnCoder);
  return result;
}

}  // namespace

RpnHead::RpnHead(int64_t channels, int64_t anchors_per_cell, Initializer& init)
    : conv(init.normal({channels, 3, 3, channels}, 0.01), true, {.padding = 1}),
      cls_logits(init.normal({anchors_per_cell, 1, 1, channels}, 0.01), true, {}),
      bbox_pred(init.normal({4 * anchors_per_cell, 1, 1, channels}, 0.01), true, {}) {}

RpnOutput RpnHead::operator()(const std::vector<Variable>& features) const {
  RpnOutput output;
  for (const Variable& feature : features) {
    const Variable hidden = conv(feature, true);
    output.objectness.push_back(cls_logits(hidden));
    output.deltas.push_back(bbox_pred(hidden));
  }
  return output;
}

void RpnHead::visit(const std::string& prefix, const ParameterVisitor& f) {
  conv.visit(prefix + "conv.", f);
  cls_logits.visit(prefix + "cls_logits.", f);
  bbox_pred.visit(prefix + "bbox_pred.", f);
}

Variable join_levels(const std::vector<Variable>& levels, int64_t size) {
  std::vector<Variable> flat;
  for (const Variable& level : levels) flat.push_back(reshape(level, {level.dim(0), -1, size}));
  return concat(flat, 1);
}

std::vector<Tensor> anchors_of(const RpnOutput& output, const AnchorSpec& spec) {
  check(int64_t(output.objectness.size()) == spec.levels(), "rpn: ", output.objectness.size(),
        " levels of features, ", spec.levels(), " levels of anchors");
  std::vector<Tensor> anchors;
  for (int64_t level = 0; level < spec.levels(); ++level) {
    const Variable& logits = output.objectness[size_t(level)];
    anchors.push_back(grid_anchors(spec, level, logits.dim(1), logits.dim(2)).to(logits.device()));
  }
  return anchors;
}

std::vector<Proposals> propose(const RpnOutput& output, const std::vector<Tensor>& anchors,
                               const std::vector<FrameSize>& frames, const ProposalSpec& spec,
                               bool legacy_plus_one) {
  std::vector<Proposals> proposals;
  for (int64_t n = 0; n < int64_t(frames.size()); ++n) {
    std::vector<Proposals> of_levels;
    for (size_t level = 0; level < anchors.size(); ++level) {
      const Tensor scores = output.objectness[level].value().rows(n, n + 1).reshape({-1});
      const Tensor deltas = output.deltas[level].value().rows(n, n + 1).reshape({-1, 4});
      of_levels.push_back(propose_on_level(scores, deltas, anchors[level], frames[size_t(n)], spec,
                                           legacy_plus_one));
    }
    proposals.push_back(concat_proposals(of_levels));
  }
  return keep_best(proposals, spec);
}

RpnSample sample_rpn(const std::vector<Tensor>& anchors, const std::vector<FrameSize>& frames,
                     const std::vector<GroundTruth>& truth, const RpnSpec& spec,
                     bool legacy_plus_one, StepSeed step) {
  const Device device = anchors[0].device();
  const Tensor all = join_rows(anchors).to(kCpu);
  std::vector<int64_t> positives, negatives;
  std::vector<Tensor> targets;
  for (size_t n = 0; n < frames.size(); ++n) {
    const Random random = sampling_random(step, SampledFor::kRpn, int64_t(n));
    const ImageSample of_image =
        sample_image(all, frames[n], truth[n], spec, legacy_plus_one, random);
    append_shifted(positives, of_image.sample.positives, int64_t(n) * all.dim(0));
    append_shifted(negatives, of_image.sample.negatives, int64_t(n) * all.dim(0));
    targets.push_back(of_image.targets);
  }
  RpnSample sample;
  sample.positive_rows = Tensor::from(positives).to(device);
  sample.targets = join_rows(targets).to(device);
  std::vector<float> labels(positives.size(), 1);
  labels.resize(positives.size() + negatives.size(), 0);
  sample.labels = Tensor::from(labels).to(device);
  positives.insert(positives.end(), negatives.begin(), negatives.end());
  sample.rows = Tensor::from(positives).to(device);
  return sample;
}

RpnLosses rpn_losses(const RpnOutput& output, const RpnSample& sample, double beta) {
  const Variable logits = reshape(join_levels(output.objectness, 1), {-1});
  const Variable deltas = reshape(join_levels(output.deltas, 4), {-1, 4});
  const double share = 1.0 / double(std::max<int64_t>(1, sample.rows.dim(0)));
  const Variable box = smooth_l1(gather_rows(deltas, sample.positive_rows),
                                 sample.targets.cast(deltas.dtype()), beta, Reduction::kSum);
  return {bce_with_logits(gather_rows(logits, sample.rows), sample.labels.cast(logits.dtype()),
                          Reduction::kMean),
          scale(box, share)};
}

}  // namespace bbam
