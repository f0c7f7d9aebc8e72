#include "cli/label_tasks.h"

#include <algorithm>
#include <cstdio>

#include "tensor/check.h"
#include "tensor/random.h"

namespace bbam {
namespace {

struct Candidate {
  size_t record;
  int object;
};

// The first `most` of a shuffle [Fisher and Yates], put back in order.
std::vector<Candidate> drawn(std::vector<Candidate> all, int64_t most, uint64_t seed) {
  if (most <= 0 || most >= int64_t(all.size())) return all;
  RandomSequence random(seed);
  for (size_t i = 0; i < size_t(most); ++i)
    std::swap(all[i], all[i + size_t(random.below(int64_t(all.size() - i)))]);
  all.resize(size_t(most));
  std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.record, a.object) < std::pair(b.record, b.object);
  });
  return all;
}

}  // namespace

std::vector<LabelTask> label_tasks(const Dataset& dataset, const std::vector<bool>& usable_labels,
                                   int64_t most, uint64_t seed) {
  std::vector<Candidate> candidates;
  for (size_t r = 0; r < dataset.records.size(); ++r) {
    const std::vector<Object>& objects = dataset.records[r].objects;
    for (size_t k = 0; k < objects.size(); ++k) {
      const bool is_left_out = objects[k].crowd || (most > 0 && objects[k].difficult);
      if (!is_left_out && usable_labels[size_t(objects[k].label)])
        candidates.push_back({r, int(k)});
    }
  }
  std::vector<LabelTask> tasks;
  int64_t count = 0;
  for (const Candidate& c : drawn(std::move(candidates), most, seed)) {
    const Record* record = &dataset.records[c.record];
    if (tasks.empty() || tasks.back().record != record) tasks.push_back({record, {}, count});
    tasks.back().objects.push_back(c.object);
    ++count;
  }
  return tasks;
}

Shard parse_shard(const std::string& text) {
  long long index = 0, count = 0;
  char rest = 0;
  const bool read = std::sscanf(text.c_str(), "%lld/%lld%c", &index, &count, &rest) == 2;
  check(read && count >= 1 && index >= 1 && index <= count, "--shard '", text,
        "'; expected I/N with I from 1 to N, for example 2/8");
  return {index - 1, count};
}

}  // namespace bbam
