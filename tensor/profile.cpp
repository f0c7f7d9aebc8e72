#include "tensor/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace profile {

std::atomic<bool> enabled{false};

namespace {

struct Event {
  const char* label;
  double start_s, seconds;
  int64_t flops, bytes;
  uint64_t thread;
};

struct Log {
  std::mutex mutex;
  std::vector<Event> events;
  double start_s = 0, stop_s = 0;
};

Log& log() {
  static Log instance;
  return instance;
}

struct Total {
  int64_t calls = 0, flops = 0, bytes = 0;
  double seconds = 0;
};

}  // namespace

double now_s() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

void start() {
  const std::lock_guard lock(log().mutex);
  log().events.clear();
  log().start_s = now_s();
  for (Device device : available_devices()) reset_peak(device);
  enabled = true;
}

void stop() {
  enabled = false;
  const std::lock_guard lock(log().mutex);
  log().stop_s = now_s();
}

int64_t flops() {
  const std::lock_guard lock(log().mutex);
  int64_t sum = 0;
  for (const Event& event : log().events) sum += event.flops;
  return sum;
}

std::string table() {
  const std::lock_guard lock(log().mutex);
  std::map<std::string, Total> totals;
  for (const Event& event : log().events) {
    Total& total = totals[event.label];
    total.calls += 1;
    total.flops += event.flops;
    total.bytes += event.bytes;
    total.seconds += event.seconds;
  }
  std::vector<std::pair<std::string, Total>> rows(totals.begin(), totals.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  const double wall_s = std::max(log().stop_s - log().start_s, 1e-9);
  std::string text = fmt::format("{:<32} {:>9} {:>10} {:>7} {:>9} {:>8}\n", "label", "calls",
                                 "seconds", "share", "GFLOP/s", "GB/s");
  double sum_s = 0;
  for (const auto& [label, total] : rows) {
    sum_s += total.seconds;
    text += fmt::format("{:<32} {:>9} {:>10.4f} {:>6.1f}% {:>9.1f} {:>8.2f}\n", label, total.calls,
                        total.seconds, 100 * total.seconds / wall_s,
                        1e-9 * double(total.flops) / std::max(total.seconds, 1e-12),
                        1e-9 * double(total.bytes) / std::max(total.seconds, 1e-12));
  }
  text += fmt::format("{:<32} {:>9} {:>10.4f} {:>6.1f}%\n", "outside any label", "", wall_s - sum_s,
                      100 * (wall_s - sum_s) / wall_s);
  for (Device device : available_devices()) {
    const MemoryStats memory = memory_stats(device);
    text += fmt::format("memory on {}: {:.1f} MiB at most in use, {:.1f} MiB kept for reuse\n",
                        to_string(device), double(memory.peak_bytes) / (1 << 20),
                        double(memory.cached_bytes) / (1 << 20));
  }
  return text;
}

void write_trace(const std::string& path) {
  const std::lock_guard lock(log().mutex);
  FileWriter file(path);
  file.write("{\"traceEvents\":[\n");
  for (size_t i = 0; i < log().events.size(); ++i) {
    const Event& event = log().events[i];
    file.write(fmt::format(
        "{}{{\"name\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},"
        "\"args\":{{\"flops\":{},\"bytes\":{}}}}}",
        i ? ",\n" : "", event.label, event.thread, 1e6 * (event.start_s - log().start_s),
        1e6 * event.seconds, event.flops, event.bytes));
  }
  file.write("\n]}\n");
  file.commit();
}

}  // namespace profile

void ProfileScope::begin() {
  synchronize(stream_.device);
  start_s_ = profile::now_s();
}

void ProfileScope::end() noexcept {
  try {
    synchronize(stream_.device);
    const double stop_s = profile::now_s();
    const uint64_t thread = std::hash<std::thread::id>{}(std::this_thread::get_id()) % 100000;
    const std::lock_guard lock(profile::log().mutex);
    profile::log().events.push_back({label_, start_s_, stop_s - start_s_, flops_, bytes_, thread});
  } catch (...) {  // a profile is never worth the run it describes
  }
}

}  // namespace bbam
