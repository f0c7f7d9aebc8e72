// What RetinaNet is trained on [Lin et al. 2017, Focal Loss, section 4]: every anchor answers for
// the box that it overlaps enough, or for background; none is sampled.
//
// N images, K anchors on all levels of an image, C classes without background. Rows count anchors
// over the batch: image * K + anchor.
#pragma once
#include <vector>

#include "detectors/box_coder.h"
#include "detectors/ground_truth.h"
#include "detectors/matcher.h"
#include "detectors/retinanet_head.h"

namespace bbam {

// What the sums over anchors are divided by, of P positives, P_n in image n.
//   kBatch  classes by P + N, boxes by P (maskrcnn-benchmark)
//   kImage  both by N max(1, P_n), image by image (torchvision; the paper has P)
enum class LossShare { kBatch, kImage };

// The defaults are those of maskrcnn-benchmark.
struct RetinaNetLossSpec {
  MatcherSpec matcher{0.5, 0.4, true};
  BoxCoderSpec coder = kRoiCoder;  // inference decodes with it as well
  double alpha = 0.25, gamma = 2;  // of the focal loss
  double beta = 0.11;              // of the smooth L1 loss
  double box_weight = 0.25;
  LossShare share = LossShare::kBatch;
};

// On the CPU.
struct RetinaNetTargets {
  Tensor labels;         // (N K) i64: class, 0 background, -1 between the thresholds: ignored
  Tensor class_weights;  // (N K) f64: of each row's focal loss
  Tensor positive_rows;  // (P) i64, ascending
  Tensor offsets;        // (P, 4) f32: deltas from the anchors to their boxes
  Tensor box_weights;    // (P, 1) f64
};
// anchors: of each level, (K_l, 4) f32 on any device.
RetinaNetTargets retinanet_targets(const std::vector<Tensor>& anchors,
                                   const std::vector<GroundTruth>& truth,
                                   const RetinaNetLossSpec& spec);

struct RetinaNetLosses {
  Variable classification;  // focal loss
  Variable box;             // smooth L1
  Variable total() const;   // their sum
};
RetinaNetLosses retinanet_losses(const RetinaNetOutput& output, const RetinaNetTargets& targets,
                                 int64_t classes, const RetinaNetLossSpec& spec);

}  // namespace bbam
