// Mask proposals on the way from maps to labels (equation 4, METHOD A9), as `--refine` chooses
// them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "attribution/refine.h"
#include "datasets/dataset.h"

namespace bbam {

inline constexpr const char *kNoRefinement = "none", *kSelectiveSearch = "selective-search";

class LabelRefiner {
 public:
  // `source`: kNoRefinement, kSelectiveSearch, or a folder of MCG's files, ID.mat; throws Error
  // where that is none. The rule is that of the labels' method: the paper's or the authors'.
  LabelRefiner(const std::string& source, LabelMethod method, uint64_t seed);

  bool refines() const { return source_ != kNoRefinement; }
  // Of one photograph. Throws Error naming the file that is missing, damaged or of another size.
  RegionProposals proposals(const Record& record, const Image& photograph) const;
  // In place. labels[i] is that of boxes[i], on the CPU.
  void refine(const RegionProposals& proposals, const std::vector<BoxArray>& boxes,
              std::vector<ObjectLabel>& labels) const;

 private:
  std::string source_;
  RefineSpec spec_;
  uint64_t seed_;
};

}  // namespace bbam
