#include "datasets/epoch.h"

#include <numeric>
#include <utility>

namespace bbam {
namespace {

// The two uses of the seed; the epoch makes up the rest of the salt.
enum class Use : uint64_t { kShuffle, kAugment };

Random random_of(uint64_t seed, int64_t epoch, Use use) {
  return Random(seed, 2 * uint64_t(epoch) + uint64_t(use));
}

}  // namespace

std::vector<size_t> shuffled_order(size_t count, uint64_t seed, int64_t epoch) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t(0));
  const Random random = random_of(seed, epoch, Use::kShuffle);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[size_t(random.below(i, int64_t(i)))]);
  return order;
}

Random augmentation_random(size_t record, uint64_t seed, int64_t epoch) {
  return Random(random_of(seed, epoch, Use::kAugment).bits(record));
}

}  // namespace bbam
