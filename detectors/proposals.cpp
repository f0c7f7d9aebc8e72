#include "detectors/proposals.h"

#include <algorithm>

#include "layers/nms.h"
#include "layers/shape_ops.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

Proposals take(const Proposals& from, const Tensor& rows) {
  return {take_rows(from.boxes, rows), take_rows(from.scores, rows)};
}

Tensor first(const Tensor& rows, int64_t count) {
  return rows.rows(0, std::min(count, rows.dim(0)));
}

// Row numbers within each image, ascending, of the best over the batch.
std::vector<Tensor> best_rows_over_batch(const std::vector<Proposals>& proposals, int64_t count) {
  std::vector<int64_t> best =
      top_k(concat_proposals(proposals).scores, count).to(kCpu).to_vector<int64_t>();
  std::sort(best.begin(), best.end());
  std::vector<Tensor> rows;
  int64_t begin = 0;
  for (const Proposals& of_image : proposals) {
    const int64_t end = begin + of_image.boxes.dim(0);
    std::vector<int64_t> local;
    for (int64_t row : best)
      if (row >= begin && row < end) local.push_back(row - begin);
    rows.push_back(Tensor::from(local).to(of_image.boxes.device()));
    begin = end;
  }
  return rows;
}

}  // namespace

Proposals concat_proposals(const std::vector<Proposals>& parts) {
  std::vector<Variable> boxes, scores;
  for (const Proposals& part : parts) {
    boxes.emplace_back(part.boxes);
    scores.emplace_back(part.scores);
  }
  return {concat(boxes, 0).value(), concat(scores, 0).value()};
}

Proposals propose_on_level(const Tensor& scores, const Tensor& deltas, const Tensor& anchors,
                           FrameSize frame, const ProposalSpec& spec, bool legacy_plus_one) {
  const Tensor best = top_k(scores, spec.pre_nms_top_n);
  const Tensor references = take_rows(anchors, best).cast(deltas.dtype());
  const Tensor decoded = decode_boxes(take_rows(deltas, best), references, kRpnCoder);
  Proposals candidates{clip_boxes(decoded, frame, legacy_plus_one).cast(DType::kF32),
                       take_rows(scores, best).cast(DType::kF32)};
  if (spec.min_side_px > 0)
    candidates = take(candidates, nonzero(at_least(candidates.boxes, spec.min_side_px)));
  const Tensor kept = nms(candidates.boxes, candidates.scores, spec.nms_iou);
  return take(candidates, first(kept, spec.post_nms_top_n));
}

std::vector<Proposals> keep_best(const std::vector<Proposals>& proposals,
                                 const ProposalSpec& spec) {
  std::vector<Proposals> kept;
  if (spec.total_over == TotalOver::kImage) {
    for (const Proposals& of_image : proposals)
      kept.push_back(take(of_image, top_k(of_image.scores, spec.total_top_n)));
    return kept;
  }
  const std::vector<Tensor> rows = best_rows_over_batch(proposals, spec.total_top_n);
  for (size_t n = 0; n < proposals.size(); ++n) kept.push_back(take(proposals[n], rows[n]));
  return kept;
}

}  // namespace bbam
