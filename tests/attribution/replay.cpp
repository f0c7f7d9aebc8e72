#include "tests/attribution/replay.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/attribution/toy_detector.h"

namespace bbam::test {
namespace {

constexpr int kBins = ToyDetector::kBins, kInputs = ToyDetector::kInputs,
              kClasses = ToyDetector::kClasses;
using Inputs = std::array<double, size_t(kInputs)>;

struct Picture {
  const std::vector<double>& values;
  int64_t height, width;
};

// Where pixel `o` of `out` lies among n cells, for half-pixel or aligned corners.
double cell_of_pixel(int64_t o, int64_t out, int64_t n, bool aligned) {
  if (aligned) return out > 1 ? double(o) * double(n - 1) / double(out - 1) : 0;
  return std::clamp((double(o) + 0.5) * double(n) / double(out) - 0.5, 0.0, double(n - 1));
}

// METHOD A2: the mask at one pixel, bilinearly.
double upsampled(const std::vector<double>& mask, int64_t h, int64_t w, double y, double x) {
  const auto y0 = int64_t(y), x0 = int64_t(x);
  const int64_t y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
  const double below = y - double(y0), right = x - double(x0);
  const auto at = [&](int64_t row, int64_t col) { return mask[size_t(row * w + col)]; };
  return (1 - below) * ((1 - right) * at(y0, x0) + right * at(y0, x1)) +
         below * ((1 - right) * at(y1, x0) + right * at(y1, x1));
}

// One bilinear sample of a picture, added to three channels.
void add_sample(const Picture& p, double y, double x, double share, double* sums) {
  if (y < -1 || y > double(p.height) || x < -1 || x > double(p.width)) return;
  y = std::clamp(y, 0.0, double(p.height - 1));
  x = std::clamp(x, 0.0, double(p.width - 1));
  const auto y0 = int64_t(y), x0 = int64_t(x);
  for (int64_t row = y0; row <= std::min(y0 + 1, p.height - 1); ++row)
    for (int64_t col = x0; col <= std::min(x0 + 1, p.width - 1); ++col)
      for (int64_t c = 0; c < 3; ++c)
        sums[c] += share * (1 - std::abs(y - double(row))) * (1 - std::abs(x - double(col))) *
                   p.values[size_t((row * p.width + col) * 3 + c)];
}

// METHOD B1's RoIAlign: two samples per bin and axis, boxes at least one pixel wide and high.
Inputs pooled(const Picture& p, const float* box) {
  const double bin_x = std::max(double(box[2]) - box[0], 1.0) / kBins;
  const double bin_y = std::max(double(box[3]) - box[1], 1.0) / kBins;
  Inputs sums{};
  for (int i = 0; i < 2 * kBins; ++i)
    for (int j = 0; j < 2 * kBins; ++j)
      add_sample(p, box[1] + bin_y * (i + 0.5) / 2, box[0] + bin_x * (j + 0.5) / 2, 0.25,
                 &sums[size_t((i / 2 * kBins + j / 2) * 3)]);
  return sums;
}

// The toy detector's weights, by input.
struct Weights {
  double logit[kClasses][kInputs], delta[4 * kClasses][kInputs];
  Weights() {
    for (int i = 0; i < kClasses * kInputs; ++i)
      logit[i / kInputs][i % kInputs] = ToyDetector::logit_weight(i);
    for (int i = 0; i < 4 * kClasses * kInputs; ++i)
      delta[i / kInputs][i % kInputs] = ToyDetector::delta_weight(i);
  }
};

struct Answer {
  double probability[kClasses], deltas[4 * kClasses];
};

Answer answer(const Inputs& pooled_colours, double gain) {
  static const Weights weights;
  Answer a{};
  double logits[kClasses] = {-1, 2, 0}, sum = 0;
  for (int i = 0; i < kInputs; ++i) {
    const double x = 1 / (1 + std::exp(-0.05 * pooled_colours[size_t(i)]));
    for (int c = 0; c < kClasses; ++c) logits[c] += gain * weights.logit[c][i] * x;
    for (int t = 0; t < 4 * kClasses; ++t) a.deltas[t] += gain * weights.delta[t][i] * x;
  }
  for (const double logit : logits) sum += std::exp(logit);
  for (int c = 0; c < kClasses; ++c) a.probability[c] = std::exp(logits[c]) / sum;
  return a;
}

struct PositiveProposal {
  const float* box;
  double regressed[4];
  Answer target;
};

double overlap(const double* a, const BoxArray& b) {
  const double w = std::min(a[2], double(b[2])) - std::max(a[0], double(b[0]));
  const double h = std::min(a[3], double(b[3])) - std::max(a[1], double(b[1]));
  if (w <= 0 || h <= 0) return 0;
  const double of_b = (double(b[2]) - b[0]) * (double(b[3]) - b[1]);
  return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + of_b - w * h);
}

// METHOD A5. The authors' first thresholds want more than 100 of them; so few proposals end at 0.8.
std::vector<PositiveProposal> positives_of(const Picture& picture, const BoxArray& box,
                                           int64_t label, const std::vector<float>& proposals,
                                           const ReplaySpec& spec) {
  std::vector<PositiveProposal> kept;
  for (size_t i = 0; i < proposals.size(); i += 4) {
    PositiveProposal p{&proposals[i], {}, answer(pooled(picture, &proposals[i]), spec.gain)};
    double compared[4];
    for (int side = 0; side < 4; ++side) {
      p.regressed[side] = double(proposals[i + size_t(side)]) + p.target.deltas[4 * label + side];
      compared[side] = spec.authors ? std::trunc(p.regressed[side]) : p.regressed[side];
    }
    const double* most = std::max_element(p.target.probability, p.target.probability + kClasses);
    if (most - p.target.probability == label && overlap(compared, box) > 0.8) kept.push_back(p);
  }
  return kept;
}

class Solve {
 public:
  Solve(const Picture& picture, const BoxArray& box, int64_t label,
        std::vector<PositiveProposal> positives, const ReplaySpec& spec)
      : label_(label), positives_(std::move(positives)), spec_(spec) {
    const double area = (double(box[2]) - box[0]) * (double(box[3]) - box[1]);
    const double share = area / double(picture.height * picture.width);
    stride_ = spec.fixed_stride_px > 0 ? spec.fixed_stride_px : 16 + 48 * std::sqrt(share);
    const auto cells = [&](int64_t side) {
      return int64_t(spec.authors ? double(side) / stride_ : std::ceil(double(side) / stride_));
    };
    h_ = cells(picture.height), w_ = cells(picture.width);
    // What is pooled is linear in the mask: one column per cell.
    for (size_t cell = 0; cell < size_t(h_ * w_); ++cell) {
      std::vector<double> one(size_t(h_ * w_), 0.0);
      one[cell] = 1;
      const std::vector<double> seen = perturbed(picture, one);
      columns_.emplace_back();
      for (const auto& p : positives_)
        columns_.back().push_back(pooled({seen, picture.height, picture.width}, p.box));
    }
  }

  Replay run() {
    Replay r{h_, w_, int64_t(positives_.size()), {start()}, {}};
    std::vector<double> mask = r.masks[0], m(mask.size()), v(mask.size());
    for (int t = 1; t <= spec_.iterations; ++t) {
      r.curve.push_back(terms(mask));
      const std::vector<double> g = gradient(mask);
      for (size_t i = 0; i < mask.size(); ++i) {
        m[i] = 0.9 * m[i] + 0.1 * g[i];
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
        const double step =
            m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
        mask[i] = std::clamp(mask[i] - 0.02 * step, 0.0, 1.0);
      }
      r.masks.push_back(mask);
    }
    return r;
  }

 private:
  std::vector<double> perturbed(const Picture& picture, const std::vector<double>& mask) const {
    std::vector<double> seen = picture.values;
    for (int64_t y = 0; y < picture.height; ++y)
      for (int64_t x = 0; x < picture.width; ++x) {
        const double share =
            upsampled(mask, h_, w_, cell_of_pixel(y, picture.height, h_, spec_.authors),
                      cell_of_pixel(x, picture.width, w_, spec_.authors));
        for (int64_t c = 0; c < 3; ++c) seen[size_t((y * picture.width + x) * 3 + c)] *= share;
      }
    return seen;
  }

  // METHOD A3: ones inside the regressed boxes, their corners divided by the stride and truncated.
  std::vector<double> start() const {
    std::vector<double> mask(size_t(h_ * w_), spec_.from_ones ? 1.0 : 0.0);
    if (spec_.from_ones) return mask;
    for (const PositiveProposal& p : positives_)
      for (int64_t y = 0; y < h_; ++y)
        for (int64_t x = 0; x < w_; ++x)
          if (y >= int64_t(p.regressed[1] / stride_) && y < int64_t(p.regressed[3] / stride_) &&
              x >= int64_t(p.regressed[0] / stride_) && x < int64_t(p.regressed[2] / stride_))
            mask[size_t(y * w_ + x)] = 1;
    return mask;
  }

  double total_variation(const std::vector<double>& mask) const {
    double sum = 0;
    const auto pair = [&](int64_t y0, int64_t x0, int64_t y1, int64_t x1, double times) {
      if (std::max(y0, y1) >= h_ || std::min(x0, x1) < 0 || std::max(x0, x1) >= w_) return;
      sum += times * std::pow(std::abs(mask[size_t(y0 * w_ + x0)] - mask[size_t(y1 * w_ + x1)]), 3);
    };
    for (int64_t y = 0; y < h_; ++y)
      for (int64_t x = 0; x < w_; ++x) {
        pair(y, x, y, x + 1, 1);
        pair(y, x, y + 1, x, 1);
        pair(y, x, y + 1, x + 1, 2);
        pair(y, x, y + 1, x - 1, 2);
      }
    return sum;
  }

  // Equations 1 to 3; the authors halve both terms and average over the offsets. Also of a head
  // that is left out.
  ReplayTerms terms(const std::vector<double>& mask) const {
    ReplayTerms sum;
    // The paper's M is never below 0, where |M| = M; the authors' |M| has slope 0 at 0.
    for (const double value : mask) sum.area += 0.007 * (spec_.authors ? std::abs(value) : value);
    if (spec_.authors) sum.tv = 1e-4 * total_variation(mask);
    for (size_t r = 0; r < positives_.size(); ++r) {
      Inputs x{};
      for (size_t cell = 0; cell < mask.size(); ++cell)
        for (size_t i = 0; i < size_t(kInputs); ++i) x[i] += mask[cell] * columns_[cell][r][i];
      const Answer now = answer(x, spec_.gain), &then = positives_[r].target;
      const double share = 1 / double(positives_.size());
      sum.cls += share * (spec_.authors ? 0.5 : 1) *
                 std::abs(now.probability[label_] - then.probability[label_]);
      for (int64_t t = 4 * label_; t < 4 * label_ + 4; ++t)
        sum.box += share * (spec_.authors ? 0.125 : 1) * std::abs(now.deltas[t] - then.deltas[t]);
    }
    return sum;
  }

  std::vector<double> gradient(std::vector<double> mask) const {
    const auto total = [&] {
      const ReplayTerms t = terms(mask);
      return t.area + t.tv + (spec_.class_head ? t.cls : 0) + (spec_.box_head ? t.box : 0);
    };
    const double h = 1e-6;
    std::vector<double> g;
    for (double& value : mask) {
      const double before = value;
      value = before + h;
      const double above = total();
      value = before - h;
      g.push_back((above - total()) / (2 * h));
      value = before;
    }
    return g;
  }

  int64_t label_, h_, w_;
  double stride_;
  std::vector<PositiveProposal> positives_;
  ReplaySpec spec_;
  std::vector<std::vector<Inputs>> columns_;  // [cell][proposal]
};

}  // namespace

Replay replay(const std::vector<double>& picture, int64_t height, int64_t width,
              const BoxArray& box, int64_t label, const std::vector<float>& proposals,
              const ReplaySpec& spec) {
  const Picture whole{picture, height, width};
  return Solve(whole, box, label, positives_of(whole, box, label, proposals, spec), spec).run();
}

}  // namespace bbam::test
