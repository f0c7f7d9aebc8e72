// The one choke point for time: every kernel and vendor call runs inside a ProfileScope.
//
// Off (the default) a scope costs one load of a flag. On, it records calls, seconds, FLOPs and
// bytes per label and an event per call. On a GPU each scope waits for its stream, so the times
// are true and the overlap is lost; it is a profiler, not a benchmark.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "tensor/device.h"

namespace bbam {

namespace profile {

extern std::atomic<bool> enabled;

void start();
void stop();
// Floating-point operations recorded since the start.
int64_t flops();
// Label, calls, seconds, share of the whole, GFLOP/s and GB/s, most time first; then the peak of
// memory in use on each device since start().
std::string table();
// Chrome trace events (chrome://tracing, Perfetto); throws Error if the file cannot be written.
void write_trace(const std::string& path);

double now_s();  // monotonic seconds

}  // namespace profile

class ProfileScope {
 public:
  // `label` must outlive the program (a string literal).
  ProfileScope(const char* label, Stream stream, int64_t flops = 0, int64_t bytes = 0)
      : label_(label), stream_(stream), flops_(flops), bytes_(bytes),
        on_(profile::enabled.load(std::memory_order_relaxed)) {
    if (on_) begin();
  }
  ~ProfileScope() {
    if (on_) end();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  void begin();
  void end() noexcept;

  const char* label_;
  Stream stream_;
  int64_t flops_, bytes_;
  bool on_;
  double start_s_ = 0;
};

}  // namespace bbam
