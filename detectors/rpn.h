// The region proposal network [Ren 2015, section 3.1], one head shared by all levels of the feature
// pyramid [Lin 2017, FPN, section 4.1].
//
// N images, A anchors per cell, K anchors on all levels of an image. Anchors of an image run over
// levels, rows, columns, ratios.
#pragma once
#include <vector>

#include "detectors/anchors.h"
#include "detectors/ground_truth.h"
#include "detectors/matcher.h"
#include "detectors/proposals.h"
#include "detectors/sampler.h"
#include "layers/module.h"

namespace bbam {

struct RpnSpec {
  AnchorSpec anchors = {};
  // Anchors that leave the picture by more are not trained on; negative: all are.
  double straddle_px = 0;
  MatcherSpec matcher = kRpnMatcher;
  SamplerSpec sampler = kRpnSampler;
  double beta = 1.0 / 9;  // of the smooth L1 loss, METHOD B1
  ProposalSpec train_proposals = kTrainProposals;
  ProposalSpec test_proposals = kTestProposals;
};

// Per level, finest first.
struct RpnOutput {
  std::vector<Variable> objectness;  // (N, H, W, A) logits
  std::vector<Variable> deltas;      // (N, H, W, 4 A), kRpnCoder
};

// A 3x3 convolution with ReLU, then a 1x1 for objectness and one for deltas.
struct RpnHead : Module {
  Conv2d conv, cls_logits, bbox_pred;

  RpnHead(int64_t channels, int64_t anchors_per_cell, Initializer& init);
  RpnOutput operator()(const std::vector<Variable>& features) const;
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

// (N, K, size) from the levels of a head's answers, (N, H, W, A size) each.
Variable join_levels(const std::vector<Variable>& levels, int64_t size);

// The anchors of each level's grid, on its device.
std::vector<Tensor> anchors_of(const RpnOutput& output, const AnchorSpec& spec);

// One entry per image. No gradients.
std::vector<Proposals> propose(const RpnOutput& output, const std::vector<Tensor>& anchors,
                               const std::vector<FrameSize>& frames, const ProposalSpec& spec,
                               bool legacy_plus_one);

// What the loss looks at. Rows count anchors over the batch: image * K + anchor.
struct RpnSample {
  Tensor rows;           // (S) i64: positives, then negatives
  Tensor labels;         // (S) f32: 1 positive, 0 negative
  Tensor positive_rows;  // (P) i64
  Tensor targets;        // (P, 4) f32: deltas from the anchors to their boxes
};
RpnSample sample_rpn(const std::vector<Tensor>& anchors, const std::vector<FrameSize>& frames,
                     const std::vector<GroundTruth>& truth, const RpnSpec& spec,
                     bool legacy_plus_one, StepSeed step);

struct RpnLosses {
  Variable objectness;  // binary cross entropy, mean over the sample
  Variable box;         // smooth L1, summed over positives / size of the sample
};
RpnLosses rpn_losses(const RpnOutput& output, const RpnSample& sample, double beta);

}  // namespace bbam
