#include "segmenters/superpixels.h"

#include <bit>
#include <cmath>
#include <numeric>

#include "segmenters/smoothing.h"
#include "tensor/algorithms.h"

namespace bbam {
namespace {

constexpr int64_t kDirections = 4;
constexpr int64_t kDx[kDirections]{1, -1, 0, 1}, kDy[kDirections]{0, 1, 1, 1};
constexpr int64_t kNoEdge = 0xffffffff;  // sorts behind every weight

class DisjointSets {
 public:
  explicit DisjointSets(int64_t count) : parent_(size_t(count)), size_(size_t(count), 1) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int32_t find(int32_t x) {
    while (parent_[size_t(x)] != x) x = parent_[size_t(x)] = parent_[size_t(parent_[size_t(x)])];
    return x;
  }
  // Joins two roots and returns the new one.
  int32_t join(int32_t a, int32_t b) {
    if (size_[size_t(a)] < size_[size_t(b)]) std::swap(a, b);
    parent_[size_t(b)] = a;
    size_[size_t(a)] += size_[size_t(b)];
    return a;
  }
  int32_t size(int32_t root) const { return size_[size_t(root)]; }

 private:
  std::vector<int32_t> parent_, size_;
};

// The bits of a float that is not negative sort as its value does.
int64_t weight_key(const float* a, const float* b, int64_t channels) {
  float squares = 0;
  for (int64_t c = 0; c < channels; ++c) squares += (a[c] - b[c]) * (a[c] - b[c]);
  const float weight = std::sqrt(squares);
  check(std::isfinite(weight), "superpixels: the picture has values that are not finite");
  return std::bit_cast<uint32_t>(weight);
}

Segmentation number_by_first_pixel(DisjointSets& sets, int64_t height, int64_t width) {
  std::vector<int32_t> number(size_t(height * width), -1), labels;
  Segmentation result;
  for (int64_t p = 0; p < height * width; ++p) {
    int32_t& label = number[size_t(sets.find(int32_t(p)))];
    if (label < 0) label = int32_t(result.count++);
    labels.push_back(label);
  }
  result.labels = Tensor::from(labels, {height, width});
  return result;
}

}  // namespace

PixelGraph::PixelGraph(const Tensor& picture, double sigma_px) {
  const Tensor smooth = gaussian_smooth(picture, sigma_px);
  height_ = smooth.dim(0), width_ = smooth.dim(1);
  const int64_t channels = smooth.dim(2), count = kDirections * height_ * width_;
  check(count < int64_t(1) << 31, "superpixels: the picture is ", picture,
        "; expected fewer than 2^29 pixels");
  const float* x = smooth.data<float>();
  Tensor keys = Tensor::full({1, count}, double(kNoEdge), DType::kI64);
  int64_t* key = keys.mutable_data<int64_t>();
  int64_t existing = 0;
  for (int64_t row = 0; row < height_; ++row)
    for (int64_t column = 0; column < width_; ++column)
      for (int64_t d = 0; d < kDirections; ++d) {
        const int64_t to_row = row + kDy[d], to_column = column + kDx[d];
        if (to_row >= height_ || to_column < 0 || to_column >= width_) continue;
        const int64_t p = row * width_ + column, q = to_row * width_ + to_column;
        key[kDirections * p + d] = weight_key(x + p * channels, x + q * channels, channels);
        ++existing;
      }
  const Tensor order = sort_rows(keys, 32);
  edges_.assign(order.data<int32_t>(), order.data<int32_t>() + existing);
  for (int64_t e = 0; e < existing; ++e) weights_.push_back(std::bit_cast<float>(uint32_t(key[e])));
}

int64_t PixelGraph::neighbor(int64_t edge) const {
  const int64_t d = edge % kDirections;
  return edge / kDirections + kDy[d] * width_ + kDx[d];
}

Segmentation PixelGraph::segment(double scale, int64_t least_px) const {
  check(scale >= 0 && std::isfinite(scale), "superpixels: scale ", scale,
        "; expected a number of at least 0");
  DisjointSets sets(height_ * width_);
  // Int(C) + scale / |C| of the components, at their roots.
  std::vector<float> threshold(size_t(height_ * width_), float(scale));
  for (size_t e = 0; e < edges_.size(); ++e) {
    const int32_t a = sets.find(edges_[e] / int32_t(kDirections));
    const int32_t b = sets.find(int32_t(neighbor(edges_[e])));
    const float weight = weights_[e];
    if (a == b || weight > threshold[size_t(a)] || weight > threshold[size_t(b)]) continue;
    const int32_t joined = sets.join(a, b);
    threshold[size_t(joined)] = weight + float(scale) / float(sets.size(joined));
  }
  for (const int32_t edge : edges_) {
    const int32_t a = sets.find(edge / int32_t(kDirections));
    const int32_t b = sets.find(int32_t(neighbor(edge)));
    if (a != b && (sets.size(a) < least_px || sets.size(b) < least_px)) sets.join(a, b);
  }
  return number_by_first_pixel(sets, height_, width_);
}

}  // namespace bbam
