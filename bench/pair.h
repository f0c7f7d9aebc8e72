// Times two ways of doing one thing side by side: in turns, so that what else the machine does
// falls on both, each preceded by a sweep through more memory than the last-level cache holds.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bbam::bench {

struct Timing {
  double median_ms = 0, least_ms = 0, greatest_ms = 0;
};

// The median of `repeats` timed calls, after one that is not timed.
Timing time_ms(const std::function<void()>& work, int repeats = 9);

struct Pair {
  Timing ours, peer;
  double ratio() const { return peer.median_ms / ours.median_ms; }  // above 1: ours is faster
};
Pair time_pair(const std::function<void()>& ours, const std::function<void()>& peer,
               int repeats = 9);

nlohmann::json to_json(const Timing& timing);

// The benches; each prints a table and returns what it measured.
nlohmann::json bench_convolutions();
nlohmann::json bench_bbam();
nlohmann::json bench_crf();
nlohmann::json bench_regions();

}  // namespace bbam::bench
