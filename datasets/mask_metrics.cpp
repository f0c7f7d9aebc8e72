#include "datasets/mask_metrics.h"

#include <algorithm>
#include <map>
#include <utility>

namespace bbam {

Tensor equal_to(const Image& map, uint8_t value) {
  std::vector<uint8_t> is_equal(map.pixels.size());
  for (size_t i = 0; i < is_equal.size(); ++i) is_equal[i] = map.pixels[i] == value;
  return Tensor::from(is_equal, {map.height, map.width});
}

double mask_iou(const Tensor& a, const Tensor& b, const Tensor& left_out) {
  check_shape(a, {-1, -1}, "mask_iou: first mask");
  check_shape(b, {a.dim(0), a.dim(1)}, "mask_iou: second mask");
  if (left_out.defined()) check_shape(left_out, {a.dim(0), a.dim(1)}, "mask_iou: left_out");
  const uint8_t *pa = a.data<uint8_t>(), *pb = b.data<uint8_t>();
  const uint8_t* skip = left_out.defined() ? left_out.data<uint8_t>() : nullptr;
  int64_t common = 0, either = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    if (skip != nullptr && skip[i] != 0) continue;
    common += pa[i] != 0 && pb[i] != 0;
    either += pa[i] != 0 || pb[i] != 0;
  }
  return either == 0 ? 0.0 : double(common) / double(either);
}

ConfusionMatrix::ConfusionMatrix(int class_count, int ignore_label)
    : class_count_(class_count), ignore_label_(ignore_label) {
  check(class_count >= 1 && class_count <= 256, "ConfusionMatrix: ", class_count,
        " classes; expected 1 to 256, as labels are 8 bits wide");
  check(ignore_label < 0 || ignore_label >= class_count, "ConfusionMatrix: the ignore label ",
        ignore_label, " is one of the ", class_count, " classes");
  counts_.resize(size_t(class_count) * size_t(class_count + 1));
}

size_t ConfusionMatrix::index(int truth, int predicted) const {
  return size_t(truth) * size_t(class_count_ + 1) + size_t(predicted);
}

int64_t ConfusionMatrix::count(int truth, int predicted) const {
  check(truth >= 0 && truth < class_count_ && predicted >= 0 && predicted <= class_count_,
        "ConfusionMatrix: no cell (", truth, ", ", predicted, ") with ", class_count_, " classes");
  return counts_[index(truth, predicted)];
}

void ConfusionMatrix::add(const Tensor& truth, const Tensor& predicted) {
  check_shape(truth, {-1, -1}, "ConfusionMatrix: truth");
  check_shape(predicted, {truth.dim(0), truth.dim(1)}, "ConfusionMatrix: predicted");
  // Every pair of 8-bit labels is counted, then the pairs are sorted out: the loop over the pixels
  // has no branches.
  std::vector<int64_t> pairs(256 * 256);
  const uint8_t *t = truth.data<uint8_t>(), *p = predicted.data<uint8_t>();
  for (int64_t i = 0; i < truth.size(); ++i) ++pairs[size_t(t[i]) * 256 + p[i]];

  ConfusionMatrix added(class_count_, ignore_label_);
  for (int i = 0; i < 256; ++i)
    for (int j = 0; j < 256; ++j) {
      const int64_t pixels = pairs[size_t(i) * 256 + size_t(j)];
      if (pixels == 0) continue;
      check(i < class_count_ || i == ignore_label_, "ConfusionMatrix: true label ", i,
            "; expected 0 to ", class_count_ - 1, " or ", ignore_label_);
      check(j < class_count_ || j == ignore_label_, "ConfusionMatrix: predicted label ", j,
            "; expected 0 to ", class_count_ - 1, " or ", ignore_label_);
      if (i == ignore_label_) continue;
      added.counts_[index(i, j == ignore_label_ ? class_count_ : j)] += pixels;
    }
  add(added);
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  check(other.class_count_ == class_count_ && other.ignore_label_ == ignore_label_,
        "ConfusionMatrix: of ", other.class_count_, " classes, added to one of ", class_count_);
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::vector<double> ConfusionMatrix::class_iou() const {
  std::vector<double> iou;
  for (int c = 0; c < class_count_; ++c) {
    int64_t either = -count(c, c);  // is in the row and in the column
    for (int j = 0; j <= class_count_; ++j) either += count(c, j);
    for (int i = 0; i < class_count_; ++i) either += count(i, c);
    iou.push_back(either == 0 ? -1.0 : double(count(c, c)) / double(either));
  }
  return iou;
}

double ConfusionMatrix::mean_iou() const {
  double sum = 0;
  int measured = 0;
  for (const double iou : class_iou()) {
    if (iou < 0) continue;
    sum += iou;
    ++measured;
  }
  return measured == 0 ? -1.0 : sum / measured;
}

BestOverlap average_best_overlap(std::span<const LabeledMask> objects,
                                 std::span<const LabeledMask> predictions) {
  using Key = std::pair<int64_t, int>;  // image, class
  std::map<Key, std::vector<Rle>> predicted;
  for (const LabeledMask& p : predictions) predicted[{p.image_id, p.class_id}].push_back(p.mask);
  std::map<int, ClassOverlap> classes;
  for (const LabeledMask& object : objects) {
    const auto masks = predicted.find({object.image_id, object.class_id});
    double best = 0;
    if (masks != predicted.end())
      best = std::ranges::max(rle_iou(masks->second, {&object.mask, 1}));
    ClassOverlap& overlap = classes[object.class_id];
    overlap.class_id = object.class_id;
    overlap.object_count += 1;
    overlap.abo += best;  // the sum, for now
  }
  BestOverlap result;
  double sum = 0;
  for (auto& [class_id, overlap] : classes) {
    overlap.abo /= double(overlap.object_count);
    sum += overlap.abo;
    result.classes.push_back(overlap);
  }
  if (!classes.empty()) result.mean_abo = sum / double(classes.size());
  return result;
}

}  // namespace bbam
