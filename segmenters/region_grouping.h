// Hierarchical grouping [Uijlings 2013, algorithm 1]: the two most similar neighbours become one
// region, until one is left.
#pragma once
#include <array>
#include <vector>

#include "segmenters/region_features.h"

namespace bbam {

// Which terms of a similarity count (equation 6); it is the sum of those chosen, each in [0, 1].
struct SimilarityTerms {
  bool color = true;    // equation 1: intersection of the colour histograms
  bool texture = true;  // equation 3: of the texture histograms
  bool size = true;     // equation 4: small regions first
  bool fill = true;     // equation 5: regions that leave no gaps in the box around both
};

// Merge k joins two regions into region N + k, N being the number of the first ones; N - 1 merges.
// Among equally similar pairs the one with the lowest numbers is joined first.
using Merge = std::array<int32_t, 2>;
std::vector<Merge> group_regions(const Regions& regions, const SimilarityTerms& terms);

}  // namespace bbam
