#include "bench/pair.h"

#include <algorithm>

#include "tensor/profile.h"

namespace bbam::bench {
namespace {

// Reads and writes 128 MiB.
void flush_caches() {
  static std::vector<char> memory(size_t(128) << 20, 1);
  for (size_t i = 0; i < memory.size(); i += 64) memory[i] = char(memory[i] + 1);
}

double once_ms(const std::function<void()>& work) {
  flush_caches();
  const double start_s = profile::now_s();
  work();
  return 1e3 * (profile::now_s() - start_s);
}

Timing summary(std::vector<double> samples_ms) {
  std::sort(samples_ms.begin(), samples_ms.end());
  return {samples_ms[samples_ms.size() / 2], samples_ms.front(), samples_ms.back()};
}

}  // namespace

Timing time_ms(const std::function<void()>& work, int repeats) {
  work();
  std::vector<double> samples;
  for (int i = 0; i < repeats; ++i) samples.push_back(once_ms(work));
  return summary(samples);
}

Pair time_pair(const std::function<void()>& ours, const std::function<void()>& peer, int repeats) {
  ours();
  peer();
  std::vector<double> a, b;
  for (int i = 0; i < repeats; ++i) {
    a.push_back(once_ms(ours));
    b.push_back(once_ms(peer));
  }
  return {summary(a), summary(b)};
}

nlohmann::json to_json(const Timing& t) {
  return {{"median_ms", t.median_ms}, {"least_ms", t.least_ms}, {"greatest_ms", t.greatest_ms}};
}

}  // namespace bbam::bench
