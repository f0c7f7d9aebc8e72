#include <doctest/doctest.h>

#include "tensor/allocator.h"
#include "tensor/profile.h"

using namespace bbam;

namespace {

constexpr int64_t kMiB = 1 << 20;

// As a network at one picture size: blocks that grow with the size, all alive together.
void one_pass(int64_t size) {
  std::vector<std::shared_ptr<void>> blocks;
  for (int k = 1; k <= 4; ++k) blocks.push_back(allocate(kCpu, size_t(k * size)));
}

int64_t held(const MemoryStats& stats) { return stats.in_use_bytes + stats.cached_bytes; }

}  // namespace

TEST_CASE("memory cache: many picture sizes do not keep the sum of what each one needs") {
  empty_cache(kCpu);
  reset_peak(kCpu);
  int64_t most = 0;
  for (int64_t size = 8 * kMiB; size < 40 * kMiB; size += 3 * kMiB) {
    one_pass(size);
    most = std::max(most, held(memory_stats(kCpu)));
  }
  CHECK(most <= 5 * memory_stats(kCpu).peak_bytes / 4);
  empty_cache(kCpu);
}

TEST_CASE("memory cache: passes that repeat take nothing new from the system") {
  empty_cache(kCpu);
  reset_peak(kCpu);
  for (int k = 0; k < 2; ++k) one_pass(20 * kMiB);
  const MemoryStats before = memory_stats(kCpu);
  for (int k = 0; k < 5; ++k) one_pass(20 * kMiB);
  const MemoryStats after = memory_stats(kCpu);
  CHECK(after.allocations - before.allocations == after.reused - before.reused);
  empty_cache(kCpu);
}

TEST_CASE("memory cache: a hundred thousand small blocks are let go of in no time") {
  empty_cache(kCpu);
  reset_peak(kCpu);
  {
    std::vector<std::shared_ptr<void>> blocks;
    for (int k = 0; k < 100000; ++k) blocks.push_back(allocate(kCpu, 2048));
  }
  const double start_s = profile::now_s();
  const auto large = allocate(kCpu, 200 * kMiB);
  CHECK(profile::now_s() - start_s < 2);
  CHECK(held(memory_stats(kCpu)) <= 5 * memory_stats(kCpu).peak_bytes / 4);
  empty_cache(kCpu);
}
