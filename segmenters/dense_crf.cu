// N points, L labels, C channels.
//
// Only differences of energies matter and the labels' probabilities sum to one, so the last label
// is left out: with m(l) the message to label l and 1 the message of ones,
//   m(L) = 1 - sum_{l<L} m(l),
//   Q(l) / Q(L) = exp(u(L) - u(l) + m(l) - m(L)).
// L labels are C = L - 1 channels, and two labels are one. K problems of two labels are K channels
// that do not meet.
#include "segmenters/dense_crf.h"

#include <cmath>
#include <cstring>

#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

struct PositionFeatures {
  float* features;  // (N, 2)
  int64_t width;
  float sigma_px;
  HD void operator()(int64_t i) const {
    features[2 * i] = float(i % width) / sigma_px;
    features[2 * i + 1] = float(i / width) / sigma_px;
  }
};

struct ColourFeatures {
  const uint8_t* image;
  float* features;  // (N, 5)
  int64_t width;
  float sigma_px, sigma_levels;
  HD void operator()(int64_t i) const {
    features[5 * i] = float(i % width) / sigma_px;
    features[5 * i + 1] = float(i / width) / sigma_px;
    for (int c = 0; c < 3; ++c) features[5 * i + 2 + c] = float(image[3 * i + c]) / sigma_levels;
  }
};

struct NegativeLog {
  const float* p;
  float* unary;
  HD void operator()(int64_t i) const { unary[i] = -logf(max_(p[i], kMinProbability)); }
};

// base(l) = u(L) - u(l); channels that only fill up the last plane never win.
struct LabelBase {
  const float* unary;  // (N, L)
  float* base;
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    const float* u = unary + i * (layout.channels + 1);
    for (int c = 0; c < layout.padded_channels(); ++c)
      base[layout.at(i, c)] = c < layout.channels ? u[layout.channels] - u[c] : -INFINITY;
  }
};

struct ForegroundBase {
  const float* foreground;  // (N, K)
  float* base;
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    for (int c = 0; c < layout.padded_channels(); ++c) {
      const float p = c < layout.channels ? foreground[i * layout.channels + c] : 0.f;
      base[layout.at(i, c)] = logf(max_(p, kMinProbability)) - logf(max_(1.f - p, kMinProbability));
    }
  }
};

// e^x for x <= 0 to 2e-7 relative, and 0 below -64: arithmetic only, so that g++ vectorises it and
// both devices agree. Polynomial of Cephes' expf.
HD inline float exp_negative(float x) {
  const float bounded = max_(x, -64.f);
  const float octaves = rintf(bounded * 1.44269504f);
  const float r = bounded - octaves * 0.693359375f + octaves * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.f;
  const int32_t bits = (int32_t(octaves) + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return x < -64.f ? 0.f : y * power;
}

// One update of K independent foregrounds, W of them in this plane. Message to the foreground m,
// to the background `ones` - m.
template <int W>
struct UpdateForeground {
  const float* base;
  const float* ones;
  float* q;  // in: messages
  HD void operator()(int64_t i) const {
    for (int c = 0; c < W; ++c) {
      const float s = base[i * W + c] + 2.f * q[i * W + c] - ones[i];
      const float e = exp_negative(-abs_(s));
      q[i * W + c] = (s < 0.f ? e : 1.f) / (1.f + e);
    }
  }
};

// One update of L labels: the softmax of s(l) = log(Q(l) / Q(L)) and of s(L) = 0. T is the width
// of the last plane. The rows of q hold the messages, then s, then its exponential, then Q.
template <int T>
struct UpdateLabels {
  const float* base;
  const float* ones;
  float* q;
  float* q_last;  // (N), of label L
  ChannelPlanes layout;

  template <int W>
  HD static Row<W>& row(float* values, int64_t offset) {
    return *reinterpret_cast<Row<W>*>(values + offset);
  }
  template <int W>
  HD static const Row<W>& row(const float* values, int64_t offset) {
    return *reinterpret_cast<const Row<W>*>(values + offset);
  }
  template <int W>
  HD void score(int64_t at, float shift, float* top) const {
    Row<W> s = row<W>(base, at) + row<W>(q, at);
    for (int c = 0; c < W; ++c) s.x[c] += shift;
    row<W>(q, at) = s;
    *top = max_(*top, s.max());
  }
  template <int W>
  HD void exponentiate(int64_t at, float top, float* sum) const {
    Row<W> e = row<W>(q, at);
#pragma omp simd
    for (int c = 0; c < W; ++c) e.x[c] = exp_negative(e.x[c] - top);
    row<W>(q, at) = e;
    *sum += e.sum();
  }
  template <int W>
  HD void normalise(int64_t at, float scale) const {
    Row<W>& e = row<W>(q, at);
    e = add_scaled(zero_row<W>(), scale, e);
  }

  HD void operator()(int64_t i) const {
    const int full = layout.count() - 1;
    const int64_t stride = kPlaneWidth * layout.points, first = i * kPlaneWidth;
    const int64_t last = full * stride + i * T;
    float received = row<T>(q, last).sum();
    for (int p = 0; p < full; ++p) received += row<kPlaneWidth>(q, p * stride + first).sum();
    const float shift = received - ones[i];

    float top = 0.f;
    for (int p = 0; p < full; ++p) score<kPlaneWidth>(p * stride + first, shift, &top);
    score<T>(last, shift, &top);
    float sum = exp_negative(-top);
    q_last[i] = sum;
    for (int p = 0; p < full; ++p) exponentiate<kPlaneWidth>(p * stride + first, top, &sum);
    exponentiate<T>(last, top, &sum);
    const float scale = 1.f / sum;
    q_last[i] *= scale;
    for (int p = 0; p < full; ++p) normalise<kPlaneWidth>(p * stride + first, scale);
    normalise<T>(last, scale);
  }
};

struct WriteLabels {
  const float* q;
  const float* q_last;
  float* result;  // (N, L)
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    float* to = result + i * (layout.channels + 1);
    for (int c = 0; c < layout.channels; ++c) to[c] = q[layout.at(i, c)];
    to[layout.channels] = layout.channels == 1 ? 1.f - to[0] : q_last[i];
  }
};

struct WriteForeground {
  const float* q;
  float* result;  // (N, K)
  ChannelPlanes layout;
  HD void operator()(int64_t i) const {
    for (int c = 0; c < layout.channels; ++c) result[i * layout.channels + c] = q[layout.at(i, c)];
  }
};

Tensor position_features(const Tensor& image, const DenseCrfOptions& options) {
  check(image.rank() == 3 && image.dim(2) == 3 && image.dtype() == DType::kU8,
        "dense CRF: the image is ", image, "; expected u8 (H, W, 3)");
  check(image.size() > 0, "dense CRF: the image is empty, ", image);
  check(options.smoothness_sigma_px > 0 && options.appearance_sigma_px > 0 &&
            options.appearance_sigma_levels > 0,
        "dense CRF: the standard deviations are ", options.smoothness_sigma_px, " px, ",
        options.appearance_sigma_px, " px and ", options.appearance_sigma_levels,
        " levels; expected positive numbers");
  check(options.iterations >= 0, "dense CRF: ", options.iterations, " iterations");
  const int64_t points = image.dim(0) * image.dim(1);
  Tensor features = Tensor::empty({points, 2}, DType::kF32, image.device());
  parallel_for(
      "crf.features", image.stream(), points,
      PositionFeatures{features.mutable_data<float>(), image.dim(1), options.smoothness_sigma_px});
  return features;
}

Tensor colour_features(const Tensor& image, const DenseCrfOptions& options) {
  const int64_t points = image.dim(0) * image.dim(1);
  Tensor features = Tensor::empty({points, 5}, DType::kF32, image.device());
  parallel_for("crf.features", image.stream(), points,
               ColourFeatures{image.data<uint8_t>(), features.mutable_data<float>(), image.dim(1),
                              options.appearance_sigma_px, options.appearance_sigma_levels});
  return features;
}

}  // namespace

// What mean field keeps for each point.
struct DenseCrf::Beliefs {
  ChannelPlanes layout;
  bool labels;  // channels are labels of one problem; else each is a foreground of its own
  Tensor base, q, q_last;

  Beliefs(ChannelPlanes planes, bool are_labels, Device device)
      : layout(planes), labels(are_labels),
        base(Tensor::empty({layout.size()}, DType::kF32, device)), q(Tensor::zeros_like(base)),
        q_last(Tensor::empty({layout.points}, DType::kF32, device)) {}

  void update(const Tensor& ones) {
    if (layout.channels == 0) return q_last.fill(1);
    if (labels) {
      dispatch_width(layout.width(layout.count() - 1), [&](auto width) {
        parallel_for(
            "crf.update", q.stream(), layout.points,
            UpdateLabels<width>{base.data<float>(), ones.data<float>(), q.mutable_data<float>(),
                                q_last.mutable_data<float>(), layout});
      });
      return;
    }
    for (int plane = 0; plane < layout.count(); ++plane) {
      const int64_t offset = layout.offset(plane);
      dispatch_width(layout.width(plane), [&](auto width) {
        parallel_for("crf.update", q.stream(), layout.points,
                     UpdateForeground<width>{base.data<float>() + offset, ones.data<float>(),
                                             q.mutable_data<float>() + offset});
      });
    }
  }
};

DenseCrf::DenseCrf(const Tensor& image, const DenseCrfOptions& options)
    : options_(options), smoothness_(position_features(image, options), Normalisation::kSymmetric),
      appearance_(colour_features(image, options), Normalisation::kSymmetric),
      height_(image.dim(0)), width_(image.dim(1)) {
  message_of_ones_ = Tensor::full({height_ * width_}, 1, DType::kF32, image.device());
  pass_messages({height_ * width_, 1}, message_of_ones_);
}

void DenseCrf::pass_messages(const ChannelPlanes& layout, Tensor& q) const {
  auto smoothness = smoothness_.vertex_values(), appearance = appearance_.vertex_values();
  for (int p = 0; p < layout.count(); ++p) {
    float* plane = q.mutable_data<float>() + layout.offset(p);
    const int width = layout.width(p);
    smoothness_.splat(plane, width, smoothness);
    appearance_.splat(plane, width, appearance);
    smoothness_.slice(smoothness, width, options_.smoothness_weight, false, plane);
    appearance_.slice(appearance, width, options_.appearance_weight, true, plane);
  }
}

// Algorithm 1.
void DenseCrf::iterate(Beliefs& beliefs) const {
  beliefs.update(Tensor::zeros_like(message_of_ones_));
  for (int iteration = 0; iteration < options_.iterations; ++iteration) {
    pass_messages(beliefs.layout, beliefs.q);
    beliefs.update(message_of_ones_);
  }
}

void DenseCrf::check_map(const Tensor& map, const char* what) const {
  check_shape(map, {height_, width_, -1}, what);
  check(map.device() == message_of_ones_.device(), what, " are ", map, ", the image is on ",
        message_of_ones_.device());
}

Tensor DenseCrf::infer(const Tensor& unary) const {
  check_map(unary, "dense CRF: unary energies");
  const int labels = int(unary.dim(2));
  check(labels >= 1, "dense CRF: there are no labels, ", unary);
  Beliefs beliefs({height_ * width_, labels - 1}, labels > 2, unary.device());
  parallel_for("crf.base", unary.stream(), beliefs.layout.points,
               LabelBase{unary.data<float>(), beliefs.base.mutable_data<float>(), beliefs.layout});
  iterate(beliefs);
  Tensor result = Tensor::empty_like(unary);
  parallel_for("crf.write", unary.stream(), beliefs.layout.points,
               WriteLabels{beliefs.q.data<float>(), beliefs.q_last.data<float>(),
                           result.mutable_data<float>(), beliefs.layout});
  return result;
}

Tensor DenseCrf::infer_foreground(const Tensor& foreground) const {
  check_map(foreground, "dense CRF: foreground probabilities");
  Beliefs beliefs({height_ * width_, int(foreground.dim(2))}, false, foreground.device());
  parallel_for(
      "crf.base", foreground.stream(), beliefs.layout.points,
      ForegroundBase{foreground.data<float>(), beliefs.base.mutable_data<float>(), beliefs.layout});
  iterate(beliefs);
  Tensor result = Tensor::empty_like(foreground);
  parallel_for(
      "crf.write", foreground.stream(), beliefs.layout.points,
      WriteForeground{beliefs.q.data<float>(), result.mutable_data<float>(), beliefs.layout});
  return result;
}

Tensor unary_from_probabilities(const Tensor& probabilities) {
  Tensor unary = Tensor::empty_like(probabilities);
  parallel_for("crf.unary", probabilities.stream(), probabilities.size(),
               NegativeLog{probabilities.data<float>(), unary.mutable_data<float>()});
  return unary;
}

}  // namespace bbam
