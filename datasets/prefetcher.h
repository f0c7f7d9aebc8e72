// Values made ahead of time by worker threads and handed out in order.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace bbam {

// next() gives make(first), make(first + 1), ...; `make` runs on the workers, several at a time, at
// most `ahead` values before they are asked for, and so must depend on its argument alone. What it
// throws comes out of the next() that would have given the value. Without workers, next() calls it.
template <class T>
class Prefetcher {
 public:
  Prefetcher(std::function<T(int64_t)> make, int64_t first, int workers, int ahead)
      : make_(std::move(make)), next_started_(first), next_given_(first), ahead_(ahead) {
    for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  T next() {
    if (workers_.empty()) return make_(next_given_++);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finished_.contains(next_given_); });
    Outcome outcome = std::move(finished_.extract(next_given_++).mapped());
    lock.unlock();
    changed_.notify_all();
    if (outcome.error) std::rethrow_exception(outcome.error);
    return std::move(*outcome.value);
  }

 private:
  struct Outcome {
    std::optional<T> value;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || next_started_ < next_given_ + ahead_; });
      if (stopping_) return;
      const int64_t index = next_started_++;
      lock.unlock();
      Outcome outcome;
      try {
        outcome.value = make_(index);
      } catch (...) {
        outcome.error = std::current_exception();
      }
      lock.lock();
      finished_.emplace(index, std::move(outcome));
      changed_.notify_all();
    }
  }

  const std::function<T(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Outcome> finished_;  // made and not yet given
  int64_t next_started_, next_given_;
  const int ahead_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;  // last: they use all of the above
};

}  // namespace bbam
