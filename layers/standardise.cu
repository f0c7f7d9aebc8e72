#include "layers/standardise.h"

#include "layers/channel_tiles.h"

namespace bbam {
namespace {

// Statistics are (outer, C): s = outer index * C + c.

template <class T>
struct SquareTerm {
  static constexpr int kSums = 1;
  const T *x, *mean;
  HD void add(T* sums, int64_t, int64_t i, int64_t s) const {
    const T d = x[i] - mean[s];
    sums[0] += d * d;
  }
};

// The sums of dy and of dy times the standardised x.
template <class T>
struct GradientTerms {
  static constexpr int kSums = 2;
  const T *dy, *x, *mean, *inverse_std;
  HD void add(T* sums, int64_t stride, int64_t i, int64_t s) const {
    sums[0] += dy[i];
    sums[stride] += dy[i] * ((x[i] - mean[s]) * inverse_std[s]);
  }
};

// One index per group: y = sum over its channels of weight * sum, divided by `count`, written to
// each of them. weight: (C), or null for 1.
template <class T>
struct GroupMean {
  const T *sums, *weight;
  T* y;
  int64_t channels, group_size;
  T count;
  HD void operator()(int64_t i) const {
    const int64_t begin = i * group_size, channel = begin % channels;
    T total = T(0);
    for (int64_t k = 0; k < group_size; ++k)
      total += weight ? weight[channel + k] * sums[begin + k] : sums[begin + k];
    for (int64_t k = 0; k < group_size; ++k) y[begin + k] = total / count;
  }
};

template <class T>
struct InverseStd {
  const T* variance;
  T* y;
  T eps;
  HD void operator()(int64_t i) const { y[i] = T(1) / std::sqrt(variance[i] + eps); }
};

template <class T>
struct Standardise {
  ChannelTiles tiles;
  const T *x, *mean, *inverse_std, *gamma, *beta;
  T* y;
  HD void operator()(Block g, int64_t block) const {
    const auto tile = tiles.tile(block);
    const int64_t s = tile.outer * tiles.channels;
    tiles.each(g, tile, [&](int64_t i, int64_t c) {
      y[i] = (x[i] - mean[s + c]) * inverse_std[s + c] * gamma[c] + beta[c];
    });
  }
};

// dx = (gamma dy - <gamma dy> - x^ <gamma dy x^>) / std, x^ being the standardised x and <> the
// mean over the group. means: (outer, 2, C).
template <class T>
struct StandardiseBackward {
  ChannelTiles tiles;
  const T *dy, *x, *mean, *inverse_std, *gamma, *means;
  T* dx;
  HD void operator()(Block g, int64_t block) const {
    const auto tile = tiles.tile(block);
    const int64_t s = tile.outer * tiles.channels;
    const T *plain = means + 2 * s, *along_x = plain + tiles.channels;
    tiles.each(g, tile, [&](int64_t i, int64_t c) {
      const T x_hat = (x[i] - mean[s + c]) * inverse_std[s + c];
      dx[i] = inverse_std[s + c] * (gamma[c] * dy[i] - plain[c] - x_hat * along_x[c]);
    });
  }
};

struct Groups {
  ChannelTiles tiles;
  int64_t size;                                        // channels in a group
  int64_t count() const { return tiles.rows * size; }  // elements in a group
};

// sums: (..., C) -> the same shape; weight may be undefined.
template <class T>
Tensor group_mean(const Tensor& sums, const Tensor& weight, const Groups& groups) {
  Tensor y = Tensor::empty_like(sums);
  const T* weights = weight.defined() ? weight.data<T>() : nullptr;
  const GroupMean<T> kernel{sums.data<T>(),        weights,     y.mutable_data<T>(),
                            groups.tiles.channels, groups.size, T(groups.count())};
  parallel_for("standardise.mean", y.stream(), y.size() / groups.size, kernel);
  return y;
}

template <class T>
Tensor group_variance(const Tensor& x, const Tensor& mean, const Groups& groups) {
  const SquareTerm<T> term{x.data<T>(), mean.data<T>()};
  const Tensor squares =
      channel_sums<T>("standardise.squares", x.device(), groups.tiles, term, int64_t(x.bytes()));
  return group_mean<T>(squares.reshape(mean.shape()), {}, groups);
}

template <class T>
Tensor inverse_std_of(const Tensor& variance, double eps) {
  Tensor y = Tensor::empty_like(variance);
  parallel_for("standardise.inverse_std", y.stream(), y.size(),
               InverseStd<T>{variance.data<T>(), y.mutable_data<T>(), T(eps)});
  return y;
}

// What the backward sweep needs of the forward one.
struct Saved {
  Tensor x, mean, inverse_std, gamma;
  Groups groups;
};

template <class T>
void backward_of(const Saved& saved, const Tensor& dy, Gradients& dx) {
  const ChannelTiles& tiles = saved.groups.tiles;
  const GradientTerms<T> terms{dy.data<T>(), saved.x.data<T>(), saved.mean.data<T>(),
                               saved.inverse_std.data<T>()};
  const Tensor sums =
      channel_sums<T>("standardise.gradients", dy.device(), tiles, terms, int64_t(2 * dy.bytes()));
  const Tensor parameters = sum_to(sums, {1, 2, tiles.channels}).reshape({2, tiles.channels});
  if (dx.needs(1)) dx.give(1, parameters.rows(1, 2).reshape({tiles.channels}).clone());
  if (dx.needs(2)) dx.give(2, parameters.rows(0, 1).reshape({tiles.channels}).clone());
  if (!dx.needs(0)) return;
  const Tensor means = group_mean<T>(sums, saved.gamma, saved.groups);
  Tensor d = Tensor::empty_like(dy);
  const StandardiseBackward<T> kernel{tiles,
                                      dy.data<T>(),
                                      saved.x.data<T>(),
                                      saved.mean.data<T>(),
                                      saved.inverse_std.data<T>(),
                                      saved.gamma.data<T>(),
                                      means.data<T>(),
                                      d.mutable_data<T>()};
  parallel_blocks("standardise.backward", dy.stream(), tiles.blocks(), tiles.threads(), 0, kernel,
                  7 * dy.size(), int64_t(3 * dy.bytes()));
  dx.give(0, d);
}

}  // namespace

void check_per_channel(const char* op, const char* name, const Tensor& parameter, const Tensor& x) {
  check(x.rank() >= 2, op, ": x is ", x, "; expected (N, ..., C)");
  check(parameter.shape() == Shape{x.dim(-1)} && parameter.dtype() == x.dtype() &&
            parameter.device() == x.device(),
        op, ": ", name, " is ", parameter, " for x ", x, "; expected one value per channel");
}

Standardised standardise(const char* op, const Variable& x, int64_t outer, int64_t groups,
                         const Variable& gamma, const Variable& beta, double eps) {
  const Tensor& value = x.value();
  check_per_channel(op, "gamma", gamma.value(), value);
  check_per_channel(op, "beta", beta.value(), value);
  const int64_t channels = value.dim(-1);
  check(groups > 0 && channels > 0 && channels % groups == 0, op, ": ", groups, " groups of ",
        channels, " channels; expected groups of equal size");
  const int64_t rows = outer > 0 ? value.size() / (outer * channels) : 0;
  const Groups of{ChannelTiles(outer, rows, channels), channels / groups};
  Tensor y = Tensor::empty_like(value), mean, variance, inverse_std;
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    const Tensor sums = sum_to(value.reshape({outer, rows, channels}), {outer, 1, channels});
    mean = group_mean<T>(sums.reshape({outer, channels}), {}, of);
    variance = group_variance<T>(value, mean, of);
    inverse_std = inverse_std_of<T>(variance, eps);
    const Standardise<T> kernel{of.tiles,
                                value.data<T>(),
                                mean.data<T>(),
                                inverse_std.data<T>(),
                                gamma.value().data<T>(),
                                beta.value().data<T>(),
                                y.mutable_data<T>()};
    parallel_blocks("standardise", y.stream(), of.tiles.blocks(), of.tiles.threads(), 0, kernel,
                    4 * y.size(), int64_t(2 * y.bytes()));
  });
  const Saved saved{value, mean, inverse_std, gamma.value(), of};
  Variable result = record(op, y, {x, gamma, beta}, [saved](const Tensor& dy, Gradients& dx) {
    dispatch_float(dy.dtype(), [&](auto t) { backward_of<decltype(t)>(saved, dy, dx); });
  });
  return {result, mean, variance};
}

}  // namespace bbam
