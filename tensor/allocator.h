// The one place where memory is asked for: a caching allocator per device (DESIGN decision 8).
//
// Freed blocks are kept and handed out again by size; on the CPU only as many as a quarter more
// than the peak of what was in use. Because each device has one ordered stream, a block may be
// reused at once. In audit mode (tests) every block is filled with NaN before use and lies between
// sentinels, NaN as well, that are verified when it is freed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/device.h"

namespace bbam {

// The peak counts what was in use, since the start or reset_peak.
struct MemoryStats {
  int64_t in_use_bytes = 0, peak_bytes = 0, cached_bytes = 0, allocations = 0, reused = 0;
};

// Shared ownership of device memory of `bytes` bytes; returned to the cache by the last owner.
std::shared_ptr<void> allocate(Device device, size_t bytes);

MemoryStats memory_stats(Device device);
void reset_peak(Device device);
// Gives the cached blocks back to the system.
void empty_cache(Device device);

// While one lives: new blocks are poisoned (all bytes 0xff, a NaN in every float type) and guarded.
class MemoryAudit {
 public:
  MemoryAudit();
  ~MemoryAudit();
  MemoryAudit(const MemoryAudit&) = delete;
  MemoryAudit& operator=(const MemoryAudit&) = delete;
  // Blocks before or behind which something was written, as found when they were freed; in this
  // process so far.
  static int64_t violations();
};

}  // namespace bbam
