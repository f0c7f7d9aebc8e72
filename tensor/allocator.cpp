#include "tensor/allocator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "tensor/check.h"

namespace bbam {
namespace {

constexpr int kPoison = 0xff;
constexpr size_t kGuardBytes = 1024;  // before and behind; a multiple of every alignment we need

// What guards consist of: a NaN as f32 and, twice, as f64, so that what an op reads outside its
// tensors shows in its result.
constexpr uint32_t kSentinel = 0xffffa5a5;
constexpr auto kSentinelF32 = std::bit_cast<float>(kSentinel);
constexpr auto kSentinelF64 = std::bit_cast<double>(uint64_t(kSentinel) << 32 | kSentinel);
static_assert(kSentinelF32 != kSentinelF32 && kSentinelF64 != kSentinelF64);

std::atomic<int> audits{0};
std::atomic<int64_t> audit_violations{0};

// A pass leaves a little more than what it uses at most, in blocks of all its sizes: what is kept
// must hold that, so that passes that repeat take nothing new from the system (--profile tells both
// figures). Trained at many picture sizes, a detector would keep a set of blocks for each; below
// kSmall that does not matter. On a GPU taking a block costs more and nothing else wants the
// memory: there all but a rest for the vendor libraries' own needs may be held.
constexpr double kKeep = 1.25, kShareOfGpu = 0.9;
constexpr int64_t kSmall = 64 << 20;

class Pool {
 public:
  explicit Pool(Device device)
      : device_(device), gpu_bytes_(device.is_cuda() ? cuda::memory_bytes(device.index) : 0) {}

  // Takes a cached block of [bytes, 1.25 bytes + 4096], else a new one; `*bytes` becomes its size.
  void* take(size_t* bytes) {
    const std::lock_guard lock(mutex_);
    stats_.allocations += 1;
    const auto found = by_size_.lower_bound({*bytes, 0});
    if (found != by_size_.end() && found->first <= *bytes + *bytes / 4 + 4096) {
      *bytes = found->first;
      void* memory = by_age_.extract(found->second).mapped().memory;
      by_size_.erase(found);
      stats_.cached_bytes -= int64_t(*bytes);
      stats_.reused += 1;
      count_use(int64_t(*bytes));
      return memory;
    }
    void* memory = take_new(*bytes);
    count_use(int64_t(*bytes));
    return memory;
  }

  void give_back(void* memory, size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    stats_.in_use_bytes -= int64_t(bytes);
    stats_.cached_bytes += int64_t(bytes);
    const int64_t number = ++given_back_;
    try {
      by_age_.emplace(number, Cached{memory, bytes});
      by_size_.emplace(bytes, number);
    } catch (...) {
      by_age_.erase(number);
      stats_.cached_bytes -= int64_t(bytes);
      runtime::release(device_, memory);
    }
  }

  void empty() {
    const std::lock_guard lock(mutex_);
    release_cached();
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_bytes = stats_.in_use_bytes;
  }

 private:
  void count_use(int64_t bytes) {
    stats_.in_use_bytes += bytes;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.in_use_bytes);
  }

  struct Cached {
    void* memory;
    size_t bytes;
  };

  // The cache is bounded beforehand: main memory does not refuse, it ends the process. A device may
  // still be full, of cached blocks of other sizes too: drop them and try once more.
  void* take_new(size_t bytes) {
    trim(int64_t(bytes));
    try {
      return runtime::allocate(device_, bytes);
    } catch (const Error&) {
      if (by_age_.empty()) throw;
    }
    release_cached();
    return runtime::allocate(device_, bytes);
  }

  int64_t most_held(int64_t used) const {
    if (device_.is_cuda()) return int64_t(kShareOfGpu * double(gpu_bytes_));
    return int64_t(kKeep * double(std::max({stats_.peak_bytes, used, kSmall})));
  }

  // Releases what has been free the longest, until a new block leaves no more than most_held().
  void trim(int64_t bytes) {
    const int64_t used = stats_.in_use_bytes + bytes, most = most_held(used);
    if (device_.is_cuda() && !by_age_.empty() && used + stats_.cached_bytes > most)
      synchronize(device_);
    while (!by_age_.empty() && used + stats_.cached_bytes > most) {
      const auto oldest = by_age_.begin();
      const auto [memory, size] = oldest->second;
      by_size_.erase({size, oldest->first});
      by_age_.erase(oldest);
      stats_.cached_bytes -= int64_t(size);
      runtime::release(device_, memory);
    }
  }

  void release_cached() {
    if (device_.is_cuda() && !by_age_.empty()) synchronize(device_);
    for (auto& [number, block] : by_age_) runtime::release(device_, block.memory);
    by_age_.clear();
    by_size_.clear();
    stats_.cached_bytes = 0;
  }

  Device device_;
  size_t gpu_bytes_;
  std::mutex mutex_;
  // What is free, by the number under which it was given back, and its sizes with these numbers.
  std::map<int64_t, Cached> by_age_;
  std::set<std::pair<size_t, int64_t>> by_size_;
  int64_t given_back_ = 0;
  MemoryStats stats_;
};

// Pools are never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool(Device device) {
  static std::mutex mutex;
  static auto& pools = *new std::map<std::pair<int, int>, Pool>;
  const std::lock_guard lock(mutex);
  return pools.try_emplace({int(device.kind), device.index}, device).first->second;
}

size_t round_up(size_t bytes) {
  const size_t grain = bytes < (1 << 20) ? 512 : (1 << 16);
  return (std::max<size_t>(bytes, 1) + grain - 1) / grain * grain;
}

// The bytes of a guard that begins `offset` bytes into a block: words lie as in the block.
const char* guard_bytes(size_t offset) {
  static const auto words = [] {
    std::array<uint32_t, kGuardBytes / sizeof(uint32_t) + 1> all;
    all.fill(kSentinel);
    return all;
  }();
  return reinterpret_cast<const char*>(words.data()) + offset % sizeof(uint32_t);
}

bool is_intact(Device device, const char* guard, size_t offset) {
  std::array<char, kGuardBytes> found;
  runtime::copy(found.data(), kCpu, guard, device, kGuardBytes);
  return std::memcmp(found.data(), guard_bytes(offset), kGuardBytes) == 0;
}

// A block with a guard on each side, full of NaN.
std::shared_ptr<void> allocate_guarded(Pool& source, Device device, size_t bytes) {
  size_t size = round_up(bytes + 2 * kGuardBytes);
  auto* front = static_cast<char*>(source.take(&size));
  char* const memory = front + kGuardBytes;
  std::shared_ptr<void> block{
      memory, [&source, size, device, bytes, front](void* p) {
        const char* back = static_cast<const char*>(p) + bytes;
        try {
          if (!is_intact(device, front, 0) || !is_intact(device, back, bytes))
            audit_violations += 1;
        } catch (...) {
          audit_violations += 1;
        }
        source.give_back(front, size);
      }};
  runtime::copy(front, device, guard_bytes(0), kCpu, kGuardBytes);
  runtime::fill_bytes(device, memory, kPoison, bytes);
  runtime::copy(memory + bytes, device, guard_bytes(bytes), kCpu, kGuardBytes);
  return block;
}

}  // namespace

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  Pool& source = pool(device);
  if (audits.load() > 0) return allocate_guarded(source, device, bytes);
  size_t size = round_up(bytes);
  void* memory = source.take(&size);
  return {memory, [&source, size](void* p) { source.give_back(p, size); }};
}

MemoryStats memory_stats(Device device) { return pool(device).stats(); }
void reset_peak(Device device) { pool(device).reset_peak(); }
void empty_cache(Device device) { pool(device).empty(); }

MemoryAudit::MemoryAudit() { audits += 1; }
MemoryAudit::~MemoryAudit() { audits -= 1; }
int64_t MemoryAudit::violations() { return audit_violations; }

}  // namespace bbam
