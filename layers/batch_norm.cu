#include "layers/batch_norm.h"

#include "layers/channel_tiles.h"
#include "layers/elementwise.h"
#include "layers/standardise.h"

namespace bbam {
namespace {

template <class T>
struct UpdateRunning {
  const T *mean, *variance;
  T *running_mean, *running_var;
  T momentum, unbias;
  HD void operator()(int64_t c) const {
    running_mean[c] = (T(1) - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (T(1) - momentum) * running_var[c] + momentum * unbias * variance[c];
  }
};

template <class T>
struct FrozenScaleShift {
  const T *gamma, *beta, *mean, *var;
  T *scale, *shift;
  T eps;
  HD void operator()(int64_t c) const {
    scale[c] = gamma[c] / std::sqrt(var[c] + eps);
    shift[c] = beta[c] - mean[c] * scale[c];
  }
};

template <class T>
struct Affine {
  ChannelTiles tiles;
  const T *x, *scale, *shift;
  T* y;
  HD void operator()(Block g, int64_t block) const {
    tiles.each(g, tiles.tile(block),
               [&](int64_t i, int64_t c) { y[i] = x[i] * scale[c] + shift[c]; });
  }
};

template <class T>
struct AffineBackward {
  ChannelTiles tiles;
  const T *dy, *scale;
  T* dx;
  HD void operator()(Block g, int64_t block) const {
    tiles.each(g, tiles.tile(block), [&](int64_t i, int64_t c) { dx[i] = dy[i] * scale[c]; });
  }
};

template <class T>
struct AffineTerms {
  static constexpr int kSums = 2;
  const T *dy, *x;
  HD void add(T* sums, int64_t stride, int64_t i, int64_t) const {
    sums[0] += dy[i];
    sums[stride] += dy[i] * x[i];
  }
};

// x seen as one run of rows.
ChannelTiles rows_of(const Tensor& x) {
  const int64_t channels = x.dim(-1);
  return ChannelTiles(1, channels > 0 ? x.size() / channels : 0, channels);
}

template <class T>
Tensor affine_input_gradient(const Tensor& dy, const Tensor& scale) {
  const ChannelTiles tiles = rows_of(dy);
  Tensor d = Tensor::empty_like(dy);
  parallel_blocks("scale_channels.backward", dy.stream(), tiles.blocks(), tiles.threads(), 0,
                  AffineBackward<T>{tiles, dy.data<T>(), scale.data<T>(), d.mutable_data<T>()},
                  dy.size(), int64_t(2 * dy.bytes()));
  return d;
}

}  // namespace

ScaleShift frozen_scale_shift(const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                              const Tensor& var, double eps) {
  check_shape(gamma, {-1}, "frozen_scale_shift: gamma");
  check_same(gamma, beta, "frozen_scale_shift: gamma and beta");
  check_same(gamma, mean, "frozen_scale_shift: gamma and mean");
  check_same(gamma, var, "frozen_scale_shift: gamma and var");
  ScaleShift result{Tensor::empty_like(gamma), Tensor::empty_like(gamma)};
  dispatch_float(gamma.dtype(), [&](auto t) {
    using T = decltype(t);
    const FrozenScaleShift<T> kernel{gamma.data<T>(),
                                     beta.data<T>(),
                                     mean.data<T>(),
                                     var.data<T>(),
                                     result.scale.mutable_data<T>(),
                                     result.shift.mutable_data<T>(),
                                     T(eps)};
    parallel_for("frozen_scale_shift", gamma.stream(), gamma.size(), kernel);
  });
  return result;
}

Variable scale_channels(const Variable& x, const Variable& scale, const Variable& shift) {
  const Tensor& value = x.value();
  check_per_channel("scale_channels", "scale", scale.value(), value);
  check_per_channel("scale_channels", "shift", shift.value(), value);
  const ChannelTiles tiles = rows_of(value);
  Tensor y = Tensor::empty_like(value);
  dispatch_float(value.dtype(), [&](auto t) {
    using T = decltype(t);
    const Affine<T> kernel{tiles, value.data<T>(), scale.value().data<T>(), shift.value().data<T>(),
                           y.mutable_data<T>()};
    parallel_blocks("scale_channels", y.stream(), tiles.blocks(), tiles.threads(), 0, kernel,
                    2 * y.size(), int64_t(2 * y.bytes()));
  });
  // A frozen map need not keep x.
  const bool keeps_x = scale.needs_grad() || shift.needs_grad();
  return record("scale_channels", y, {x, scale, shift},
                [x = keeps_x ? value : Tensor(), scale = scale.value(), tiles](const Tensor& dy,
                                                                               Gradients& dx) {
                  dispatch_float(dy.dtype(), [&](auto t) {
                    using T = decltype(t);
                    if (dx.needs(0)) dx.give(0, affine_input_gradient<T>(dy, scale));
                    if (!dx.needs(1) && !dx.needs(2)) return;
                    const Tensor sums = channel_sums<T>(
                        "scale_channels.gradients", dy.device(), tiles,
                        AffineTerms<T>{dy.data<T>(), x.data<T>()}, int64_t(2 * dy.bytes()));
                    const Tensor rows = sums.reshape({2, tiles.channels});
                    if (dx.needs(1)) dx.give(1, rows.rows(1, 2).reshape(scale.shape()).clone());
                    if (dx.needs(2)) dx.give(2, rows.rows(0, 1).reshape(scale.shape()).clone());
                  });
                });
}

Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                    Tensor& running_mean, Tensor& running_var, bool training, double momentum,
                    double eps) {
  const Tensor& value = x.value();
  check_per_channel("batch_norm", "running_mean", running_mean, value);
  check_per_channel("batch_norm", "running_var", running_var, value);
  if (!training) {
    const Tensor one = Tensor::full(running_var.shape(), 1, value.dtype(), value.device());
    const auto [inverse_std, offset] =
        frozen_scale_shift(one, Tensor::zeros_like(one), running_mean, running_var, eps);
    return scale_channels(x, mul(gamma, inverse_std), add(mul(gamma, offset), beta));
  }
  const int64_t channels = value.dim(-1), count = rows_of(value).rows;
  check(count != 1, "batch_norm: x is ", value,
        ", one value per channel; training needs two for a variance");
  const auto [y, mean, variance] = standardise("batch_norm", x, 1, channels, gamma, beta, eps);
  if (count == 0) return y;
  dispatch_float(value.dtype(), [&, &mean = mean, &variance = variance](auto t) {
    using T = decltype(t);
    const UpdateRunning<T> kernel{mean.template data<T>(),
                                  variance.template data<T>(),
                                  running_mean.mutable_data<T>(),
                                  running_var.mutable_data<T>(),
                                  T(momentum),
                                  T(double(count) / double(count - 1))};
    parallel_for("batch_norm.running", value.stream(), channels, kernel);
  });
  return y;
}

}  // namespace bbam
