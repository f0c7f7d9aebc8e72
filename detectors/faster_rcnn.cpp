#include "detectors/faster_rcnn.h"

#include "layers/elementwise.h"
#include "layers/pool2d.h"
#include "layers/shape_ops.h"
#include "layers/softmax.h"

namespace bbam {
namespace {

const FasterRcnnSpec& checked(const FasterRcnnSpec& spec) {
  check_anchors(spec.rpn.anchors);
  const PoolerSpec& pooler = spec.roi_heads.pooler;
  const int64_t levels = pooler.coarsest - pooler.finest + 1;
  check(levels == 4 && spec.rpn.anchors.levels() == levels + 1, "Faster R-CNN: ", levels,
        " levels to pool from and ", spec.rpn.anchors.levels(),
        " levels of anchors; expected 4 (P2 to P5) and 5 (P2 to P6)");
  check(spec.classes >= 1, "Faster R-CNN: ", spec.classes, " classes; expected at least 1");
  return spec;
}

std::vector<Tensor> boxes_of(const std::vector<Proposals>& proposals) {
  std::vector<Tensor> boxes;
  for (const Proposals& of_image : proposals) boxes.push_back(of_image.boxes);
  return boxes;
}

}  // namespace

FasterRcnnSpec FasterRcnnSpec::torchvision(int64_t classes) {
  FasterRcnnSpec spec;
  spec.classes = classes;
  spec.resnet = {.depth = 50, .stride_in_1x1 = false};
  spec.fpn.top_down = TopDown::kNearest;
  spec.rpn.anchors.style = AnchorStyle::kCentred;
  spec.rpn.straddle_px = -1;
  for (ProposalSpec* proposals : {&spec.rpn.train_proposals, &spec.rpn.test_proposals}) {
    proposals->total_over = TotalOver::kImage;
    proposals->min_side_px = 1e-3;
  }
  spec.roi_heads.beta = 1.0 / 9;
  spec.detection.min_side_px = 1e-2;
  spec.legacy_plus_one = false;
  return spec;
}

Variable DetectorLosses::total() const {
  return add(add(objectness, rpn_box), add(classification, box));
}

StepLosses step_losses(const DetectorLosses& losses) {
  return {{{"objectness", losses.objectness},
           {"rpn_box", losses.rpn_box},
           {"classification", losses.classification},
           {"box", losses.box}},
          losses.total()};
}

FasterRcnn::FasterRcnn(const FasterRcnnSpec& spec, uint64_t seed)
    : FasterRcnn(spec, Initializer(seed)) {}

FasterRcnn::FasterRcnn(const FasterRcnnSpec& spec, Initializer init)
    : spec_(checked(spec)), body_(spec.resnet, init), fpn_(body_.widths(), spec.fpn, init),
      rpn_head_(spec.fpn.channels, spec.rpn.anchors.per_cell(), init),
      box_head_(spec.fpn.channels, spec.classes, spec.roi_heads, init) {
  body_.freeze_stages(spec.freeze_stages);
}

void FasterRcnn::visit(const std::string& prefix, const ParameterVisitor& f) {
  body_.visit(prefix + "backbone.body.", f);
  fpn_.visit(prefix + "backbone.fpn.", f);
  rpn_head_.visit(prefix + "rpn.head.", f);
  box_head_.visit(prefix + "roi_heads.", f);
}

std::vector<Variable> FasterRcnn::features(const Variable& images) {
  return fpn_.forward(body_.forward(images));
}

std::vector<Variable> FasterRcnn::features_for(const Variable& images, const Tensor& rois) {
  const std::vector<Variable> stages = body_.forward(images);
  std::vector<Shape> shapes;
  for (const Variable& stage : stages) shapes.push_back(stage.shape());
  return fpn_.forward(stages,
                      pool_windows(shapes, rois, spec_.roi_heads.pooler, spec_.legacy_plus_one));
}

RpnOutput FasterRcnn::rpn(const std::vector<Variable>& features) const {
  std::vector<Variable> levels = features;
  levels.push_back(max_pool2d(features.back(), {.kernel = 1, .stride = 2}));
  return rpn_head_(levels);
}

std::vector<Proposals> FasterRcnn::propose(const RpnOutput& output,
                                           const std::vector<FrameSize>& frames,
                                           const ProposalSpec& spec) const {
  return bbam::propose(output, anchors_of(output, spec_.rpn.anchors), frames, spec,
                       spec_.legacy_plus_one);
}

BoxHeadOutput FasterRcnn::box_head(const std::vector<Variable>& features,
                                   const Tensor& rois) const {
  return box_head_(pool(features, rois, spec_.roi_heads.pooler, spec_.legacy_plus_one));
}

Tensor FasterRcnn::decode(const Tensor& deltas, const Tensor& rois) const {
  const Tensor boxes = slice(Variable(rois), 1, 1, 5).value();
  return decode_boxes(deltas, boxes.cast(deltas.dtype()), spec_.roi_heads.coder);
}

std::vector<bool> FasterRcnn::levels_of(const Tensor& rois) const {
  std::vector<bool> used(4, false);
  for (int64_t level : roi_levels(rois, spec_.roi_heads.pooler).to(kCpu).to_vector<int64_t>())
    used[size_t(level)] = true;
  return used;
}

DetectorLosses FasterRcnn::training_losses(const Tensor& images,
                                           const std::vector<FrameSize>& frames,
                                           const std::vector<GroundTruth>& truth, StepSeed step) {
  return training_pass(images, frames, truth, step).losses;
}

TrainingPass FasterRcnn::training_pass(const Tensor& images, const std::vector<FrameSize>& frames,
                                       const std::vector<GroundTruth>& truth, StepSeed step) {
  check_images(images, frames);
  check_ground_truth(truth, frames, spec_.classes);
  const std::vector<Variable> levels = features(images);
  const RpnOutput first = rpn(levels);
  const RpnSample anchors = sample_rpn(anchors_of(first, spec_.rpn.anchors), frames, truth,
                                       spec_.rpn, spec_.legacy_plus_one, step);
  const RpnLosses first_losses = rpn_losses(first, anchors, spec_.rpn.beta);

  const std::vector<Proposals> proposals = propose(first, frames, spec_.rpn.train_proposals);
  const RoiSample rois = sample_rois(proposals, truth, spec_.roi_heads, step);
  const BoxHeadLosses second =
      box_head_losses(box_head(levels, rois.rois), rois, spec_.roi_heads.beta);
  return {
      levels, rois, {first_losses.objectness, first_losses.box, second.classification, second.box}};
}

StepLosses FasterRcnn::losses_on(const DetectorBatch& batch, StepSeed step) {
  return step_losses(training_losses(batch.images, batch.frames, batch.truth, step));
}

std::vector<std::string> FasterRcnn::loss_names() const {
  return {"objectness", "rpn_box", "classification", "box"};
}

std::vector<Detections> FasterRcnn::detect(const Tensor& images,
                                           const std::vector<FrameSize>& frames) {
  return detection_pass(images, frames).detections;
}

DetectionPass FasterRcnn::detection_pass(const Tensor& images,
                                         const std::vector<FrameSize>& frames) {
  check_images(images, frames);
  const NoGrad frozen;
  const std::vector<Variable> levels = features(images);
  const std::vector<Tensor> boxes =
      boxes_of(propose(rpn(levels), frames, spec_.rpn.test_proposals));
  const Tensor rois = rois_of(boxes);
  const BoxHeadOutput output = box_head(levels, rois);
  const Tensor probabilities = softmax(output.class_logits).value();
  const Tensor decoded = decode(output.deltas.value(), rois);

  std::vector<Detections> detections;
  int64_t begin = 0;
  for (size_t n = 0; n < frames.size(); ++n) {
    const int64_t end = begin + boxes[n].dim(0);
    detections.push_back(postprocess(probabilities.rows(begin, end), decoded.rows(begin, end),
                                     frames[n], spec_.detection, spec_.legacy_plus_one));
    begin = end;
  }
  return {levels, detections};
}

}  // namespace bbam
