// The second stage: which proposals to train on, and the box head of FPN detectors, two fully
// connected layers on RoIAlign features [Girshick 2015, Fast R-CNN; Lin 2017, FPN, section 4.2].
//
// C classes and background, which is class 0. R or S regions of interest (RoIs): rows of image,
// x0, y0, x1, y1.
#pragma once
#include <vector>

#include "detectors/box_coder.h"
#include "detectors/ground_truth.h"
#include "detectors/matcher.h"
#include "detectors/pooler.h"
#include "detectors/proposals.h"
#include "detectors/sampler.h"
#include "layers/module.h"

namespace bbam {

struct RoiHeadsSpec {
  PoolerSpec pooler = {};
  int64_t head_width = 1024;  // of fc6 and fc7
  MatcherSpec matcher = kRoiMatcher;
  SamplerSpec sampler = kRoiSampler;
  BoxCoderSpec coder = kRoiCoder;
  double beta = 1;  // of the smooth L1 loss, METHOD B1
};

struct BoxHeadOutput {
  Variable class_logits;  // (R, C + 1)
  Variable deltas;        // (R, 4 (C + 1)), four per class
};

// fc6's weights read a RoI's features in the order rows, columns, channels.
struct BoxHead : Module {
  Linear fc6, fc7, cls_score, bbox_pred;

  BoxHead(int64_t channels, int64_t classes, const RoiHeadsSpec& spec, Initializer& init);
  // pooled: (R, bins, bins, channels)
  BoxHeadOutput operator()(const Variable& pooled) const;
  // box_head.fc6, box_head.fc7, box_predictor.cls_score, box_predictor.bbox_pred
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

// (R, 5) f32 from the boxes of each image.
Tensor rois_of(const std::vector<Tensor>& boxes);

struct RoiSample {
  Tensor rois;           // (S, 5) f32
  Tensor labels;         // (S) i64
  Tensor positive_rows;  // (P) i64: rows with labels > 0
  Tensor objects;        // (P) i64: the box that each was matched to, counted within its image
  Tensor targets;        // (P, 4) f32: deltas from the RoIs to their boxes
};
// Ground-truth boxes join the proposals first.
RoiSample sample_rois(const std::vector<Proposals>& proposals,
                      const std::vector<GroundTruth>& truth, const RoiHeadsSpec& spec,
                      StepSeed step);

struct BoxHeadLosses {
  Variable classification;  // cross entropy, mean over the sample
  Variable box;  // smooth L1 of the true class's deltas, summed over positives / size of the sample
};
BoxHeadLosses box_head_losses(const BoxHeadOutput& output, const RoiSample& sample, double beta);

}  // namespace bbam
