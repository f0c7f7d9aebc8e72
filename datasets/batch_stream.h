// The batches of a loader in order, made ahead by worker threads; pictures that cannot be used are
// told once, and steps of which nothing is left are skipped.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "datasets/prefetcher.h"
#include "tensor/check.h"

namespace bbam {

// B has `images`, undefined when every picture was left out, and `problems`, one line for each that
// was.
template <class B>
class BatchStream {
 public:
  // `make` as in prefetcher.h.
  BatchStream(std::function<B(int64_t)> make, int64_t first_step, int64_t batches_per_epoch,
              int workers, int ahead)
      : batches_per_epoch_(batches_per_epoch),
        prefetcher_(std::move(make), first_step, workers, ahead) {}

  // Throws Error when a whole epoch is skipped.
  B next() {
    for (int64_t attempt = 0; attempt < batches_per_epoch_; ++attempt) {
      B batch = prefetcher_.next();
      for (const std::string& problem : batch.problems)
        if (known_problems_.insert(problem).second) problems_.push_back(problem);
      if (batch.images.defined()) return batch;
    }
    fail("loader: not one picture of a whole epoch can be used; ", problems_.at(0));
  }

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  const int64_t batches_per_epoch_;
  std::set<std::string> known_problems_;
  std::vector<std::string> problems_;
  Prefetcher<B> prefetcher_;
};

}  // namespace bbam
