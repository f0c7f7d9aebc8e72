#include "detectors/sampler.h"

#include <algorithm>

namespace bbam {
namespace {

// `count` of the rows: the head of a Fisher-Yates shuffle that draws numbers first, first + 1, ...
std::vector<int64_t> choose(std::vector<int64_t> rows, size_t count, Random random,
                            uint64_t first) {
  for (size_t i = 0; i < count; ++i) {
    const int64_t rest = int64_t(rows.size() - i);
    std::swap(rows[i], rows[i + size_t(random.below(first + i, rest))]);
  }
  rows.resize(count);
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

Random sampling_random(StepSeed step, SampledFor use, int64_t image) {
  const Random of_step(step.seed, uint64_t(use));
  return Random(of_step.bits(uint64_t(step.step)), uint64_t(image));
}

Sample sample_labels(const Tensor& labels, const SamplerSpec& spec, Random random) {
  check_shape(labels, {-1}, "sample_labels: labels");
  std::vector<int64_t> positives, negatives;
  const int64_t* label = labels.data<int64_t>();
  for (int64_t i = 0; i < labels.size(); ++i) {
    if (label[i] > 0) positives.push_back(i);
    if (label[i] == 0) negatives.push_back(i);
  }
  const auto wanted = size_t(double(spec.per_image) * spec.positive_fraction);
  const size_t taken = std::min(wanted, positives.size());
  const size_t rest = std::min(size_t(spec.per_image) - taken, negatives.size());
  const uint64_t second = positives.size();  // the two kinds share no random number
  return {choose(std::move(positives), taken, random, 0),
          choose(std::move(negatives), rest, random, second)};
}

}  // namespace bbam
