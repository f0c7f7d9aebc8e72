// Boxes are sorted by group, then by descending score. A block sweeps one group in tiles of 64:
// a bitmask of overlaps inside the tile is resolved in order, then the tile's survivors strike out
// the rest of the group. Nothing but kept boxes is ever compared, and no N x N mask is stored.
#include "layers/nms.h"

#include "tensor/algorithms.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

constexpr int kTile = 64;

struct Boxes {
  const double* corners;  // (N, 4), sorted
  double threshold;

  HD bool overlap(int64_t i, int64_t j) const {
    const double *a = corners + 4 * i, *b = corners + 4 * j;
    const double width = min_(a[2], b[2]) - max_(a[0], b[0]);
    const double height = min_(a[3], b[3]) - max_(a[1], b[1]);
    if (!(width > 0 && height > 0)) return false;
    const double inner = width * height;
    return inner > threshold * (area(a) + area(b) - inner);
  }
  HD double area(const double* a) const { return (a[2] - a[0]) * (a[3] - a[1]); }
};

// Sets keep[i] for every box of group b, the boxes [starts[b], starts[b + 1]).
struct Sweep {
  Boxes boxes;
  const int64_t* starts;
  int64_t groups, count;
  uint8_t* keep;  // 1 on entry

  HD void operator()(const Block& g, int64_t b) const {
    const int64_t end = b + 1 < groups ? starts[b + 1] : count;
    auto* overlaps = g.scratch<uint64_t>();  // bit j of word i: i suppresses the later j
    for (int64_t tile = starts[b]; tile < end; tile += kTile) {
      const int size = int(min_(int64_t(kTile), end - tile));
      for (int i = g.rank(); i < size; i += g.size()) overlaps[i] = later_overlaps(tile, i, size);
      g.sync();
      const uint64_t kept = resolve(overlaps, tile, size);
      g.sync();
      for (int i = g.rank(); i < size; i += g.size()) keep[tile + i] = uint8_t(kept >> i & 1);
      for (int64_t j = tile + kTile + g.rank(); j < end; j += g.size())
        if (keep[j] && strikes(tile, kept, size, j)) keep[j] = 0;
      g.sync();
    }
  }

  HD uint64_t later_overlaps(int64_t tile, int i, int size) const {
    uint64_t bits = 0;
    if (!keep[tile + i]) return bits;
    for (int j = i + 1; j < size; ++j)
      if (boxes.overlap(tile + i, tile + j)) bits |= uint64_t(1) << j;
    return bits;
  }
  // The survivors of the tile; every thread finds the same.
  HD uint64_t resolve(const uint64_t* overlaps, int64_t tile, int size) const {
    uint64_t kept = 0;
    for (int i = 0; i < size; ++i) kept |= uint64_t(keep[tile + i]) << i;
    for (int i = 0; i < size; ++i)
      if (kept >> i & 1) kept &= ~overlaps[i];
    return kept;
  }
  HD bool strikes(int64_t tile, uint64_t kept, int size, int64_t j) const {
    for (int i = 0; i < size; ++i)
      if ((kept >> i & 1) && boxes.overlap(tile + i, j)) return true;
    return false;
  }
};

// Marks the first box of every group.
struct MarkStarts {
  const int64_t* group;  // sorted; null: all boxes form one group
  uint8_t* is_first;
  HD void operator()(int64_t i) const {
    is_first[i] = i == 0 || (group && group[i] != group[i - 1]);
  }
};

// to[index[i]] = from[i] for a permutation `index`.
struct PutBack {
  const uint8_t* from;
  const int64_t* index;
  uint8_t* to;
  HD void operator()(int64_t i) const { to[index[i]] = from[i]; }
};

Tensor group_starts(const Tensor& group, Device device, int64_t count) {
  Tensor is_first = Tensor::empty({count}, DType::kU8, device);
  parallel_for("nms.groups", is_first.stream(), count,
               MarkStarts{group.defined() ? group.data<int64_t>() : nullptr,
                          is_first.mutable_data<uint8_t>()});
  return nonzero(is_first);
}

// boxes: (N, 4) f64 by group and descending score -> (N) u8.
Tensor sweep(const Tensor& boxes, const Tensor& starts, double iou_threshold) {
  const int64_t count = boxes.dim(0);
  Tensor keep = Tensor::full({count}, 1, DType::kU8, boxes.device());
  constexpr int kThreads = 512;
  parallel_blocks("nms", boxes.stream(), starts.size(), kThreads, kTile * sizeof(uint64_t),
                  Sweep{{boxes.data<double>(), iou_threshold},
                        starts.data<int64_t>(),
                        starts.size(),
                        count,
                        keep.mutable_data<uint8_t>()});
  return keep;
}

Tensor suppress(const Tensor& boxes, const Tensor& scores, const Tensor& group, double threshold) {
  check_shape(boxes, {-1, 4}, "nms: boxes");
  check_shape(scores, {boxes.dim(0)}, "nms: scores");
  check(boxes.device() == scores.device(), "nms: boxes are ", boxes, ", scores are ", scores);
  const int64_t count = scores.size();
  const Tensor by_score = argsort(scores, true);
  Tensor sorted_group, by_group;  // by_group: places in by_score
  Tensor order = by_score;
  if (group.defined()) {
    const Tensor groups_by_score = take_rows(group, by_score);
    by_group = argsort(groups_by_score);
    sorted_group = take_rows(groups_by_score, by_group);
    order = take_rows(by_score, by_group);
  }
  const Tensor starts = group_starts(sorted_group, scores.device(), count);
  Tensor keep = sweep(take_rows(boxes, order).cast(DType::kF64), starts, threshold);
  if (group.defined()) {
    Tensor keep_by_score = Tensor::empty_like(keep);
    parallel_for("nms.put_back", keep.stream(), count,
                 PutBack{keep.data<uint8_t>(), by_group.data<int64_t>(),
                         keep_by_score.mutable_data<uint8_t>()});
    keep = keep_by_score;
  }
  return take_rows(by_score, nonzero(keep));
}

}  // namespace

Tensor nms(const Tensor& boxes, const Tensor& scores, double iou_threshold) {
  return suppress(boxes, scores, {}, iou_threshold);
}

Tensor batched_nms(const Tensor& boxes, const Tensor& scores, const Tensor& group,
                   double iou_threshold) {
  check_shape(group, {scores.size()}, "batched_nms: group");
  check(group.dtype() == DType::kI64 && group.device() == scores.device(), "batched_nms: group is ",
        group, ", scores are ", scores, "; expected i64 on the same device");
  return suppress(boxes, scores, group, iou_threshold);
}

}  // namespace bbam
