#include "detectors/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace bbam;

namespace {

// `positives` labels 1, then `negatives` labels 0, then `ignored` labels -1.
Tensor labels(int64_t positives, int64_t negatives, int64_t ignored) {
  std::vector<int64_t> values(size_t(positives), 1);
  values.insert(values.end(), size_t(negatives), 0);
  values.insert(values.end(), size_t(ignored), -1);
  return Tensor::from(values);
}

Sample draw(const Tensor& values, const SamplerSpec& spec, uint64_t seed) {
  return sample_labels(values, spec, Random(seed));
}

}  // namespace

TEST_CASE("sampler: METHOD B1, RPN draws 256 per image, at most half of them positive") {
  const Sample many = draw(labels(500, 5000, 100), kRpnSampler, 1);
  CHECK(many.positives.size() == 128);
  CHECK(many.negatives.size() == 128);
  const Sample few = draw(labels(5, 5000, 100), kRpnSampler, 1);
  CHECK(few.positives == std::vector<int64_t>{0, 1, 2, 3, 4});
  CHECK(few.negatives.size() == 251);
}

TEST_CASE("sampler: METHOD B1, RoI heads draw 512 per image, at most a quarter positive") {
  const Sample many = draw(labels(500, 5000, 100), kRoiSampler, 1);
  CHECK(many.positives.size() == 128);
  CHECK(many.negatives.size() == 384);
  const Sample scarce = draw(labels(500, 7, 100), kRoiSampler, 1);
  CHECK(scarce.positives.size() == 128);
  CHECK(scarce.negatives.size() == 7);
}

TEST_CASE("sampler: ascending, without repetition, never what is ignored") {
  const Sample sample = draw(labels(300, 900, 300), kRoiSampler, 3);
  for (const auto& rows : {sample.positives, sample.negatives}) {
    CHECK(std::is_sorted(rows.begin(), rows.end()));
    CHECK(std::set<int64_t>(rows.begin(), rows.end()).size() == rows.size());
  }
  CHECK(sample.positives.back() < 300);
  CHECK(sample.negatives.front() >= 300);
  CHECK(sample.negatives.back() < 1200);
  const Sample none = draw(labels(0, 0, 3), kRoiSampler, 3);
  CHECK(none.positives.empty());
  CHECK(none.negatives.empty());
}

TEST_CASE("sampler: the same step repeats itself; step, image, use and seed each change the draw") {
  const Tensor all = labels(0, 1000, 0);
  const auto rows = [&](StepSeed step, SampledFor use, int64_t image) {
    return sample_labels(all, kRpnSampler, sampling_random(step, use, image)).negatives;
  };
  const auto first = rows({1, 7}, SampledFor::kRpn, 0);
  CHECK(first == rows({1, 7}, SampledFor::kRpn, 0));
  CHECK(first != rows({1, 8}, SampledFor::kRpn, 0));
  CHECK(first != rows({1, 7}, SampledFor::kRpn, 1));
  CHECK(first != rows({1, 7}, SampledFor::kRoiHeads, 0));
  CHECK(first != rows({2, 7}, SampledFor::kRpn, 0));
}

TEST_CASE("sampler: every row is as likely as any other") {
  const Tensor all = labels(20, 0, 0);
  std::vector<int> drawn(20, 0);
  const int draws = 4000;
  for (int step = 0; step < draws; ++step) {
    const Random random = sampling_random({5, step}, SampledFor::kRpn, 0);
    for (int64_t row : sample_labels(all, {10, 0.5}, random).positives) drawn[size_t(row)] += 1;
  }
  // Binomial of 4000 draws at 5/20: mean 1000, standard deviation 27.
  for (int count : drawn) CHECK(std::abs(count - 1000) < 5 * 27);
}
