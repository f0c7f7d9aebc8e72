#include "detectors/retinanet.h"

#include <algorithm>
#include <cmath>

#include "detectors/box_coder.h"
#include "layers/elementwise.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

constexpr int64_t kLevels = 5;  // P3 to P7

const RetinaNetSpec& checked(const RetinaNetSpec& spec) {
  check_anchors(spec.anchors);
  check(spec.anchors.levels() == kLevels, "RetinaNet: ", spec.anchors.levels(),
        " levels of anchors; expected 5 (P3 to P7)");
  check(spec.classes >= 1, "RetinaNet: ", spec.classes, " classes; expected at least 1");
  check(spec.convolutions >= 0 && spec.candidates >= 1, "RetinaNet: ", spec.convolutions,
        " convolutions in each subnet, ", spec.candidates,
        " candidates per level; expected 0 or more and 1 or more");
  return spec;
}

std::vector<int> from_third(const std::vector<int>& widths) {
  return {widths.begin() + 1, widths.end()};
}

std::vector<Variable> from_third(const std::vector<Variable>& stages) {
  return {stages.begin() + 1, stages.end()};
}

std::vector<Shape> shapes_of(const std::vector<Variable>& levels) {
  std::vector<Shape> shapes;
  for (const Variable& level : levels)
    shapes.push_back(level.defined() ? level.shape() : Shape{0, 0, 0, 0});
  return shapes;
}

// What RoIs that are anchors ask for.
struct Asked {
  std::vector<AnchorPlace> places;
  std::vector<int64_t> images;
};

Asked asked(const Tensor& rois, const std::vector<Shape>& features, const AnchorSpec& spec) {
  check_shape(rois, {-1, 5}, "RetinaNet: rois");
  const Variable on_host(rois.to(kCpu));
  Asked result{anchor_places(spec, features, slice(on_host, 1, 1, 5).value()), {}};
  for (const float image : slice(on_host, 1, 0, 1).value().to_vector<float>())
    result.images.push_back(int64_t(image));
  return result;
}

bool is_read(const std::vector<Window>& windows) {
  return std::any_of(windows.begin(), windows.end(), [](const Window& w) { return !w.empty(); });
}

// One level of one image: the best `most` pairs of anchor and class above the score threshold,
// decoded and clipped. logits: (K, C), deltas and anchors: (K, 4).
Detections candidates_on_level(const Tensor& logits, const Tensor& deltas, const Tensor& anchors,
                               FrameSize frame, const RetinaNetSpec& spec) {
  const std::vector<float> scores =
      sigmoid(Variable(logits)).value().to(kCpu).cast(DType::kF32).to_vector<float>();
  std::vector<int64_t> pairs;
  std::vector<float> above;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > float(spec.detection.score_threshold)) {
      pairs.push_back(int64_t(i));
      above.push_back(scores[i]);
    }
  const Tensor best = top_k(Tensor::from(above), spec.candidates);
  std::vector<int64_t> rows, labels;
  for (const int64_t i : best.to_vector<int64_t>()) {
    rows.push_back(pairs[size_t(i)] / spec.classes);
    labels.push_back(pairs[size_t(i)] % spec.classes + 1);
  }
  const Tensor of_rows = Tensor::from(rows);
  const Tensor boxes =
      decode_boxes(take_rows(deltas.to(kCpu), of_rows),
                   take_rows(anchors, of_rows).cast(deltas.dtype()), spec.loss.coder);
  return {clip_boxes(boxes, frame, spec.legacy_plus_one).cast(DType::kF32),
          take_rows(Tensor::from(above), best), Tensor::from(labels)};
}

Detections join_candidates(const std::vector<Detections>& parts) {
  std::vector<Variable> boxes, scores;
  std::vector<int64_t> labels;
  for (const Detections& part : parts) {
    boxes.emplace_back(part.boxes);
    scores.emplace_back(part.scores);
    const auto of_part = part.labels.to_vector<int64_t>();
    labels.insert(labels.end(), of_part.begin(), of_part.end());
  }
  return {concat(boxes, 0).value(), concat(scores, 0).value(), Tensor::from(labels)};
}

}  // namespace

AnchorSpec retinanet_anchors() {
  return {.strides_px = {8, 16, 32, 64, 128},
          .scales = {1, std::exp2(1.0 / 3), std::exp2(2.0 / 3)}};
}

RetinaNetSpec RetinaNetSpec::torchvision(int64_t classes) {
  RetinaNetSpec spec;
  spec.classes = classes;
  spec.resnet = {.depth = 50, .stride_in_1x1 = false};
  spec.fpn.top_down = TopDown::kNearest;
  spec.p6_from = P6From::kP5;
  spec.anchors.style = AnchorStyle::kCentred;
  spec.loss.coder = kRpnCoder;
  spec.loss.beta = 0;
  spec.loss.box_weight = 1;
  spec.loss.share = LossShare::kImage;
  spec.detection = {.nms_iou = 0.5, .most = 300};
  spec.legacy_plus_one = false;
  return spec;
}

RetinaNet::RetinaNet(const RetinaNetSpec& spec, uint64_t seed)
    : RetinaNet(spec, Initializer(seed)) {}

RetinaNet::RetinaNet(const RetinaNetSpec& spec, Initializer init)
    : spec_(checked(spec)), body_(spec.resnet, init),
      fpn_(from_third(body_.widths()), spec.fpn, init),
      extra_(spec.p6_from == P6From::kC5 ? body_.widths().back() : spec.fpn.channels,
             spec.fpn.channels, init),
      head_(spec.fpn.channels, spec.anchors.per_cell(), spec.classes, spec.convolutions, spec.prior,
            init) {
  body_.freeze_stages(spec.freeze_stages);
}

void RetinaNet::visit(const std::string& prefix, const ParameterVisitor& f) {
  body_.visit(prefix + "backbone.body.", f);
  fpn_.visit(prefix + "backbone.fpn.", f);
  extra_.visit(prefix + "backbone.fpn.extra_blocks.", f);
  head_.visit(prefix + "head.", f);
}

std::vector<Variable> RetinaNet::features(const Variable& images) {
  const std::vector<Variable> stages = body_.forward(images);
  std::vector<Variable> levels = fpn_.forward(from_third(stages));
  for (const Variable& level : extra_(spec_.p6_from == P6From::kC5 ? stages.back() : levels.back()))
    levels.push_back(level);
  return levels;
}

std::vector<Shape> RetinaNet::feature_shapes(int64_t images, int64_t height, int64_t width) const {
  std::vector<Shape> shapes;
  for (int64_t level = 3; level < 3 + kLevels; ++level) {
    const int64_t stride = int64_t(1) << level;  // each halving rounds up
    shapes.push_back({images, (height + stride - 1) / stride, (width + stride - 1) / stride,
                      int64_t(spec_.fpn.channels)});
  }
  return shapes;
}

std::vector<Tensor> RetinaNet::anchors(const std::vector<Shape>& features) const {
  std::vector<Tensor> anchors;
  for (int64_t level = 0; level < kLevels; ++level) {
    const Shape& feature = features.at(size_t(level));
    anchors.push_back(grid_anchors(spec_.anchors, level, feature[1], feature[2]));
  }
  return anchors;
}

std::vector<Variable> RetinaNet::features_for(const Variable& images, const Tensor& rois) {
  const auto shapes = feature_shapes(images.dim(0), images.dim(1), images.dim(2));
  const Asked rows = asked(rois, shapes, spec_.anchors);
  const auto windows =
      anchor_windows(shapes, rows.places, rows.images, head_.classification.reach());
  const bool needs_extra = is_read(windows[3]) || is_read(windows[4]);
  const bool from_c5 = spec_.p6_from == P6From::kC5;
  std::vector<std::vector<Window>> of_pyramid(windows.begin(), windows.begin() + 3);
  if (needs_extra && !from_c5)
    for (Window& w : of_pyramid[2]) w = {0, shapes[2][1], 0, shapes[2][2]};

  const std::vector<Variable> stages = body_.forward(images);
  std::vector<Variable> levels = fpn_.forward(from_third(stages), of_pyramid);
  const std::vector<Variable> extra =
      needs_extra ? extra_(from_c5 ? stages.back() : levels.back()) : std::vector<Variable>(2);
  levels.insert(levels.end(), extra.begin(), extra.end());
  return levels;
}

AnchorAnswers RetinaNet::answers(const std::vector<Variable>& features, const Tensor& rois) const {
  const Asked rows = asked(rois, shapes_of(features), spec_.anchors);
  return head_.at(features, rows.places, rows.images);
}

RetinaNetLosses RetinaNet::training_losses(const Tensor& images,
                                           const std::vector<FrameSize>& frames,
                                           const std::vector<GroundTruth>& truth, StepSeed) {
  check_images(images, frames);
  check_ground_truth(truth, frames, spec_.classes);
  const std::vector<Variable> levels = features(images);
  const RetinaNetTargets targets = retinanet_targets(anchors(shapes_of(levels)), truth, spec_.loss);
  return retinanet_losses(head(levels), targets, spec_.classes, spec_.loss);
}

StepLosses RetinaNet::losses_on(const DetectorBatch& batch, StepSeed step) {
  const RetinaNetLosses losses = training_losses(batch.images, batch.frames, batch.truth, step);
  return {{{"classification", losses.classification}, {"box", losses.box}}, losses.total()};
}

std::vector<Detections> RetinaNet::detect(const Tensor& images,
                                          const std::vector<FrameSize>& frames) {
  check_images(images, frames);
  const NoGrad frozen;
  const std::vector<Variable> levels = features(images);
  const RetinaNetOutput output = head(levels);
  const std::vector<Tensor> of_levels = anchors(shapes_of(levels));
  std::vector<Detections> detections;
  for (int64_t n = 0; n < int64_t(frames.size()); ++n) {
    std::vector<Detections> candidates;
    for (size_t level = 0; level < levels.size(); ++level) {
      const Tensor logits = output.class_logits[level].value().rows(n, n + 1);
      const Tensor deltas = output.deltas[level].value().rows(n, n + 1);
      candidates.push_back(candidates_on_level(logits.reshape({-1, spec_.classes}),
                                               deltas.reshape({-1, 4}), of_levels[level],
                                               frames[size_t(n)], spec_));
    }
    detections.push_back(suppress(join_candidates(candidates), spec_.detection));
  }
  return detections;
}

}  // namespace bbam
