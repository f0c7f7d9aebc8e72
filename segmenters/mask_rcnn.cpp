#include "segmenters/mask_rcnn.h"

#include "layers/elementwise.h"
#include "segmenters/class_masks.h"
#include "segmenters/mask_targets.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

constexpr uint64_t kMaskHeadSalt = 301;  // its starting weights share no number with the detector's

const MaskRcnnSpec& checked(const MaskRcnnSpec& spec) {
  const PoolerSpec &boxes = spec.detector.roi_heads.pooler, &masks = spec.mask_head.pooler;
  check(masks.finest == boxes.finest && masks.coarsest == boxes.coarsest,
        "Mask R-CNN: boxes are pooled from P", boxes.finest, " to P", boxes.coarsest,
        ", masks from P", masks.finest, " to P", masks.coarsest, "; expected the same levels");
  return spec;
}

void check_masks(const std::vector<Tensor>& masks, const std::vector<FrameSize>& frames,
                 const std::vector<GroundTruth>& truth) {
  check(masks.size() == frames.size(), "Mask R-CNN: masks of ", masks.size(), " images; expected ",
        frames.size());
  for (size_t n = 0; n < masks.size(); ++n) {
    const Shape expected{truth[n].boxes.dim(0), frames[n].height, frames[n].width};
    check(masks[n].defined() && masks[n].dtype() == DType::kU8 && masks[n].shape() == expected,
          "Mask R-CNN: masks of image ", n, " are ", masks[n], "; expected u8", expected);
  }
}

}  // namespace

Variable MaskRcnnLosses::total() const { return add(detector.total(), mask); }

MaskRcnn::MaskRcnn(const MaskRcnnSpec& spec, uint64_t seed)
    : MaskRcnn(spec, seed, Initializer(Random(seed, kMaskHeadSalt).bits(0))) {}

MaskRcnn::MaskRcnn(const MaskRcnnSpec& spec, uint64_t seed, Initializer init)
    : spec_(checked(spec)), detector_(spec.detector, seed),
      mask_head_(spec.detector.fpn.channels, spec.detector.classes, spec.mask_head, init) {}

void MaskRcnn::visit(const std::string& prefix, const ParameterVisitor& f) {
  detector_.visit(prefix, f);
  mask_head_.visit(prefix + "roi_heads.", f);
}

Variable MaskRcnn::mask_head(const std::vector<Variable>& features, const Tensor& rois) const {
  return mask_head_(pool(features, rois, spec_.mask_head.pooler, spec_.detector.legacy_plus_one));
}

MaskRcnnLosses MaskRcnn::training_losses(const Tensor& images, const std::vector<FrameSize>& frames,
                                         const std::vector<GroundTruth>& truth,
                                         const std::vector<Tensor>& masks, StepSeed step) {
  check_ground_truth(truth, frames, spec_.detector.classes);
  check_masks(masks, frames, truth);
  const TrainingPass pass = detector_.training_pass(images, frames, truth, step);
  const Tensor rois = take_rows(pass.rois.rois, pass.rois.positive_rows);
  const Tensor labels = take_rows(pass.rois.labels, pass.rois.positive_rows);
  const Variable logits = class_masks(mask_head(pass.features, rois), labels);
  const Tensor seeds = mask_targets(masks, rois, pass.rois.objects, logits.dim(1));
  return {pass.losses, mask_loss(logits, seeds, spec_.loss, spec_.growing)};
}

std::vector<SegmentedInstances> MaskRcnn::segment(const Tensor& images,
                                                  const std::vector<FrameSize>& frames) {
  const NoGrad frozen;
  const DetectionPass pass = detector_.detection_pass(images, frames);
  std::vector<Tensor> boxes;
  std::vector<int64_t> labels;
  for (const Detections& found : pass.detections) {
    boxes.push_back(found.boxes);
    const std::vector<int64_t> of_image = found.labels.to_vector<int64_t>();
    labels.insert(labels.end(), of_image.begin(), of_image.end());
  }
  const Variable logits = mask_head(pass.features, rois_of(boxes).to(images.device()));
  const Tensor masks = sigmoid(class_masks(logits, Tensor::from(labels))).value().to(kCpu);

  std::vector<SegmentedInstances> instances;
  int64_t begin = 0;
  for (const Detections& found : pass.detections) {
    const int64_t end = begin + found.boxes.dim(0);
    instances.push_back({found, masks.rows(begin, end)});
    begin = end;
  }
  return instances;
}

StepLosses step_losses(const MaskRcnnLosses& losses) {
  StepLosses named = step_losses(losses.detector);
  named.terms.emplace_back("mask", losses.mask);
  named.total = losses.total();
  return named;
}

StepValues train_step(MaskRcnn& model, Optimizer& optimizer, const MaskRcnnBatch& batch,
                      double learning_rate, StepSeed step) {
  const auto losses = [&](int64_t) {
    const DetectorBatch& d = batch.detector;
    return step_losses(model.training_losses(d.images, d.frames, d.truth, batch.masks, step));
  };
  return train_step(model, optimizer, losses, learning_rate, step.step);
}

}  // namespace bbam
