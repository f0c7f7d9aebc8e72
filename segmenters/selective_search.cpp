#include "segmenters/selective_search.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "tensor/random.h"

namespace bbam {
namespace {

// A tree of regions over one segmentation. The first regions below node t are
// leaves[begin[t]], ..., leaves[end[t] - 1].
struct Hierarchy {
  std::vector<int32_t> leaves;
  std::vector<int64_t> begin, end;
};

Hierarchy hierarchy_of(int64_t first_regions, const std::vector<Merge>& merges) {
  const size_t nodes = size_t(first_regions) + merges.size();
  Hierarchy tree{{}, std::vector<int64_t>(nodes), std::vector<int64_t>(nodes)};
  std::vector<int64_t> below(nodes, 1);
  for (size_t k = 0; k < merges.size(); ++k)
    below[size_t(first_regions) + k] = below[size_t(merges[k][0])] + below[size_t(merges[k][1])];
  // From the top down, which merges do not pass: each part gets its share of its whole's places.
  tree.leaves.resize(size_t(first_regions));
  for (size_t t = nodes; t-- > 0;) {
    tree.end[t] = tree.begin[t] + below[t];
    if (t < size_t(first_regions)) {
      tree.leaves[size_t(tree.begin[t])] = int32_t(t);
      continue;
    }
    const auto [a, b] = merges[t - size_t(first_regions)];
    tree.begin[size_t(a)] = tree.begin[t];
    tree.begin[size_t(b)] = tree.begin[t] + below[size_t(a)];
  }
  return tree;
}

// One first segmentation and the hierarchies that grow from it.
struct Strategy {
  Segmentation segmentation;
  std::vector<Hierarchy> hierarchies;
  std::vector<std::vector<int32_t>> pieces;  // of each first region: the common superpixels in it
};

std::vector<Strategy> run_strategies(const Tensor& rgb, const SelectiveSearchSpec& spec) {
  const auto spaces = int64_t(spec.spaces.size()), scales = int64_t(spec.scales.size());
  std::vector<Strategy> strategies(size_t(spaces * scales));
  // In parallel by spaces, and then by spaces and scales.
  struct Space {
    std::optional<PixelGraph> graph;
    PixelBins bins;
  };
  std::vector<Space> prepared(static_cast<size_t>(spaces));
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < spaces; ++i) {
    const Tensor picture = to_color_space(rgb, spec.spaces[size_t(i)]);
    prepared[size_t(i)].graph.emplace(picture, spec.sigma_px);
    prepared[size_t(i)].bins = bin_pixels(picture);
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < spaces * scales; ++i) {
    const Space& space = prepared[size_t(i / scales)];
    const double scale = spec.scales[size_t(i % scales)];
    Strategy& strategy = strategies[size_t(i)];
    strategy.segmentation = space.graph->segment(scale, int64_t(scale));
    const Regions regions = describe_regions(strategy.segmentation, space.bins);
    for (const SimilarityTerms& terms : spec.similarities)
      strategy.hierarchies.push_back(
          hierarchy_of(strategy.segmentation.count, group_regions(regions, terms)));
  }
  return strategies;
}

// The parts into which all segmentations together cut the picture, and which of them lie in each
// first region. Parts are numbered by their first pixels and need not be connected.
Tensor intersect(std::vector<Strategy>& strategies, int64_t pixels, const Shape& shape) {
  std::vector<int32_t> common(size_t(pixels), 0), first_pixel;
  for (const Strategy& strategy : strategies) {
    const int32_t* label = strategy.segmentation.labels.data<int32_t>();
    std::unordered_map<int64_t, int32_t> number;
    first_pixel.clear();
    for (size_t p = 0; p < common.size(); ++p) {
      const int64_t key = common[p] * strategy.segmentation.count + label[p];
      const auto [entry, is_new] = number.try_emplace(key, int32_t(number.size()));
      if (is_new) first_pixel.push_back(int32_t(p));
      common[p] = entry->second;
    }
  }
  for (Strategy& strategy : strategies) {
    strategy.pieces.resize(size_t(strategy.segmentation.count));
    const int32_t* label = strategy.segmentation.labels.data<int32_t>();
    for (size_t s = 0; s < first_pixel.size(); ++s)
      strategy.pieces[size_t(label[first_pixel[s]])].push_back(int32_t(s));
  }
  return Tensor::from(common, shape);
}

struct Candidate {
  double rank;
  const Strategy* strategy;
  const Hierarchy* hierarchy;
  size_t node;
};

std::vector<Candidate> sorted_candidates(const std::vector<Strategy>& strategies, uint64_t seed) {
  std::vector<Candidate> candidates;
  RandomSequence random(seed, 47);
  for (const Strategy& strategy : strategies)
    for (const Hierarchy& hierarchy : strategy.hierarchies)
      for (size_t t = 0; t < hierarchy.begin.size(); ++t) {
        const auto position = double(hierarchy.begin.size() - t);  // 1 at the top
        candidates.push_back({random.uniform() * position, &strategy, &hierarchy, t});
      }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
  return candidates;
}

std::vector<int32_t> superpixels_of(const Candidate& candidate) {
  const Hierarchy& tree = *candidate.hierarchy;
  std::vector<int32_t> superpixels;
  for (int64_t i = tree.begin[candidate.node]; i < tree.end[candidate.node]; ++i) {
    const auto& pieces = candidate.strategy->pieces[size_t(tree.leaves[size_t(i)])];
    superpixels.insert(superpixels.end(), pieces.begin(), pieces.end());
  }
  std::sort(superpixels.begin(), superpixels.end());
  return superpixels;
}

void check_spec(const SelectiveSearchSpec& spec) {
  check(!spec.spaces.empty() && !spec.scales.empty() && !spec.similarities.empty(),
        "selective_search: no colour space, no scale or no similarity");
  for (const double scale : spec.scales)
    check(scale >= 1 && scale <= 1e6, "selective_search: scale ", scale, "; expected 1 to 10^6");
  for (const SimilarityTerms& terms : spec.similarities)
    check(terms.color || terms.texture || terms.size || terms.fill,
          "selective_search: a similarity without any term");
  check(spec.sigma_px >= 0 && spec.sigma_px <= 100, "selective_search: sigma ", spec.sigma_px,
        " px; expected 0 to 100");
  check(spec.most >= 0, "selective_search: most ", spec.most, "; expected 0 or more");
}

}  // namespace

RegionProposals selective_search(const Tensor& rgb, const SelectiveSearchSpec& spec,
                                 uint64_t seed) {
  check_spec(spec);
  check_shape(rgb, {-1, -1, 3}, "selective_search: picture");
  check(rgb.size() > 0 && rgb.device().is_cpu() && rgb.dtype() == DType::kU8,
        "selective_search: picture is ", rgb, "; expected pixels, u8, on the CPU");
  check(rgb.dim(0) * rgb.dim(1) < int64_t(1) << 27, "selective_search: picture is ", rgb,
        "; expected fewer than 2^27 pixels");
  std::vector<Strategy> strategies = run_strategies(rgb, spec);
  RegionProposals proposals;
  proposals.superpixels = intersect(strategies, rgb.dim(0) * rgb.dim(1), {rgb.dim(0), rgb.dim(1)});
  std::set<std::vector<int32_t>> seen;
  for (const Candidate& candidate : sorted_candidates(strategies, seed)) {
    if (spec.most > 0 && int64_t(proposals.regions.size()) == spec.most) break;
    const auto [region, is_new] = seen.insert(superpixels_of(candidate));
    if (is_new) proposals.regions.push_back(*region);
  }
  return proposals;
}

}  // namespace bbam
