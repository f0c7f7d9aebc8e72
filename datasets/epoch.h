// What chance decides in the epochs of a loader: pure functions of seed, epoch and record.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/random.h"

namespace bbam {

// 0 .. count - 1 in random order, another one each epoch.
std::vector<size_t> shuffled_order(size_t count, uint64_t seed, int64_t epoch);

// The random numbers of one record in one epoch.
Random augmentation_random(size_t record, uint64_t seed, int64_t epoch);

}  // namespace bbam
