// A detector small enough to train in a test, and pictures for it: bright rectangles of two colours
// on noise.
#pragma once
#include <vector>

#include "detectors/faster_rcnn.h"
#include "detectors/training.h"
#include "tests/detectors/one_thread.h"

namespace bbam::test {

inline FasterRcnnSpec tiny_spec() {
  FasterRcnnSpec spec;
  spec.classes = 2;
  spec.resnet = {.depth = 18, .norm = Norm::kGroup, .groups = 2, .stem_width = 8};
  spec.fpn.channels = 16;
  spec.freeze_stages = 0;
  spec.rpn.anchors.sizes_px = {12, 24, 36, 48, 64};
  spec.rpn.sampler.per_image = 64;
  for (ProposalSpec* proposals : {&spec.rpn.train_proposals, &spec.rpn.test_proposals})
    proposals->pre_nms_top_n = proposals->post_nms_top_n = proposals->total_top_n = 50;
  spec.roi_heads.pooler.canonical_size_px = 56;
  spec.roi_heads.pooler.bins = 5;
  spec.roi_heads.head_width = 32;
  spec.roi_heads.sampler.per_image = 32;
  return spec;
}

// Two pictures of 64 x 96, the second only 56 x 80 of it.
inline DetectorBatch tiny_batch() {
  DetectorBatch batch;
  batch.frames = {{.height = 64, .width = 96}, {.height = 56, .width = 80}};
  batch.truth = {
      {Tensor::from<float>({8, 10, 40, 34, 56, 30, 88, 60}, {2, 4}), Tensor::from<int64_t>({1, 2})},
      {Tensor::from<float>({20, 8, 68, 44}, {1, 4}), Tensor::from<int64_t>({2})}};
  batch.images = Tensor::zeros({2, 64, 96, 3});
  float* value = batch.images.mutable_data<float>();
  const Random noise(7);
  for (int64_t k = 0; k < batch.images.size(); ++k) {
    const int64_t c = k % 3, x = k / 3 % 96, y = k / 3 / 96 % 64, n = k / 3 / 96 / 64;
    if (y >= batch.frames[size_t(n)].height || x >= batch.frames[size_t(n)].width) continue;
    value[k] = float(noise.uniform(uint64_t(k), -0.2, 0.2));
    const GroundTruth& truth = batch.truth[size_t(n)];
    for (int64_t g = 0; g < truth.boxes.dim(0); ++g) {
      const Box<float> box = box_at(truth.boxes.data<float>(), g);
      const bool is_inside =
          float(x) >= box.x0 && float(x) < box.x1 && float(y) >= box.y0 && float(y) < box.y1;
      if (is_inside) value[k] += truth.labels.data<int64_t>()[g] == c ? 2.f : -1.f;
    }
  }
  return batch;
}

}  // namespace bbam::test
