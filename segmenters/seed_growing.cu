#include "segmenters/seed_growing.h"

#include "layers/broadcast.h"
#include "layers/elementwise.h"
#include "layers/losses.h"
#include "segmenters/mask_targets.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// Steps 1 and 2: initial seeds win, so only cells that are none join.
template <class T>
struct JoinSeeds {
  const uint8_t* seeds;
  const T* probabilities;
  uint8_t* joined;
  T foreground_above, background_below;
  HD void operator()(int64_t i) const {
    const T p = probabilities[i];
    const uint8_t grown = p > foreground_above   ? kForegroundSeed
                          : p < background_below ? kBackgroundSeed
                                                 : kNoSeed;
    joined[i] = seeds[i] == kNoSeed ? grown : seeds[i];
  }
};

// Step 3.
struct DropLonely {
  const uint8_t* joined;
  uint8_t* grown;
  int64_t height, width;
  HD void operator()(int64_t i) const {
    const int64_t x = i % width, y = i / width % height;
    const uint8_t label = joined[i];
    bool has_company = false;
    for (int64_t dy = -1; dy <= 1; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx) {
        const bool is_inside = y + dy >= 0 && y + dy < height && x + dx >= 0 && x + dx < width;
        if (!is_inside || (dy == 0 && dx == 0)) continue;
        has_company = has_company || joined[i + dy * width + dx] == label;
      }
    grown[i] = has_company ? label : kNoSeed;
  }
};

template <class T>
struct IsLabel {
  const uint8_t* labels;
  T* y;
  uint8_t wanted;
  HD void operator()(int64_t i) const { y[i] = T(labels[i] == wanted); }
};

// What each cell counts for, given the number of cells of either kind.
template <class T>
struct BalancedWeight {
  const T *foreground, *background, *foreground_count, *background_count;
  T* weight;
  HD void operator()(int64_t i) const {
    const T ones = *foreground_count, zeros = *background_count;
    const bool has_both = ones > T(0) && zeros > T(0);
    weight[i] = has_both ? (foreground[i] / ones + background[i] / zeros) / T(2) : T(0);
  }
};

// 1 where the label is `wanted`, else 0.
Tensor indicator(const Tensor& labels, uint8_t wanted, DType dtype) {
  Tensor y = Tensor::empty(labels.shape(), dtype, labels.device());
  dispatch_float(dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for("is_label", y.stream(), y.size(),
                 IsLabel<T>{labels.data<uint8_t>(), y.mutable_data<T>(), wanted});
  });
  return y;
}

Tensor balanced_weights(const Tensor& foreground, const Tensor& background) {
  const Tensor ones = sum_to(foreground, {}), zeros = sum_to(background, {});
  Tensor weights = Tensor::empty_like(foreground);
  dispatch_float(weights.dtype(), [&](auto t) {
    using T = decltype(t);
    const BalancedWeight<T> kernel{foreground.data<T>(), background.data<T>(), ones.data<T>(),
                                   zeros.data<T>(), weights.mutable_data<T>()};
    parallel_for("balanced_weights", weights.stream(), weights.size(), kernel);
  });
  return weights;
}

void check_seeds(const Tensor& seeds, const Tensor& cells, const char* what) {
  check_shape(cells, {-1, -1, -1}, what);
  check(seeds.dtype() == DType::kU8 && seeds.shape() == cells.shape() &&
            seeds.device() == cells.device(),
        what, " of ", cells, " with seeds ", seeds, "; expected u8 of the same shape and device");
}

}  // namespace

Tensor grow_seeds(const Tensor& seeds, const Tensor& probabilities, const GrowingSpec& spec) {
  check_seeds(seeds, probabilities, "grow_seeds");
  Tensor joined = Tensor::empty_like(seeds), grown = Tensor::empty_like(seeds);
  dispatch_float(probabilities.dtype(), [&](auto t) {
    using T = decltype(t);
    const JoinSeeds<T> kernel{seeds.data<uint8_t>(), probabilities.data<T>(),
                              joined.mutable_data<uint8_t>(), T(spec.foreground_above),
                              T(spec.background_below)};
    parallel_for("grow_seeds", seeds.stream(), seeds.size(), kernel);
  });
  parallel_for("grow_seeds.lonely", seeds.stream(), seeds.size(),
               DropLonely{joined.data<uint8_t>(), grown.mutable_data<uint8_t>(), seeds.dim(1),
                          seeds.dim(2)});
  return grown;
}

Variable mask_loss(const Variable& logits, const Tensor& seeds, MaskLoss loss,
                   const GrowingSpec& spec) {
  check_seeds(seeds, logits.value(), "mask_loss");
  const Tensor labels = loss == MaskLoss::kSeedGrowing
                            ? grow_seeds(seeds, sigmoid(logits.detach()).value(), spec)
                            : seeds;
  const Tensor foreground = indicator(labels, kForegroundSeed, logits.dtype());
  const Tensor background = indicator(labels, kBackgroundSeed, logits.dtype());
  if (loss == MaskLoss::kPlain) {
    const Tensor has_label = add(Variable(foreground), Variable(background)).value();
    return bce_with_logits(logits, foreground, Reduction::kMean, has_label);
  }
  return bce_with_logits(logits, foreground, Reduction::kSum,
                         balanced_weights(foreground, background));
}

}  // namespace bbam
