// The random share of candidates that a training step looks at [Ren 2015, section 3.1.3].
#pragma once
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace bbam {

// All that a training step's random choices depend on, so that a resumed run repeats them.
struct StepSeed {
  uint64_t seed = 0;
  int64_t step = 0;
};

enum class SampledFor : uint64_t { kRpn = 101, kRoiHeads = 102 };

// The numbers for image `image` of the batch.
Random sampling_random(StepSeed step, SampledFor use, int64_t image);

struct SamplerSpec {
  int64_t per_image = 256;
  double positive_fraction = 0.5;  // at most; what positives lack, negatives fill
};
inline constexpr SamplerSpec kRpnSampler{};           // METHOD B1
inline constexpr SamplerSpec kRoiSampler{512, 0.25};  // METHOD B1

// Row numbers, ascending.
struct Sample {
  std::vector<int64_t> positives, negatives;
};

// From labels: (R) i64 on the CPU, positive where > 0, negative where 0, never drawn where < 0. Of
// each kind a uniform choice without repetition.
Sample sample_labels(const Tensor& labels, const SamplerSpec& spec, Random random);

}  // namespace bbam
