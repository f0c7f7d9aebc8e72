#include "attribution/refine.h"

#include <doctest/doctest.h>

#include "tensor/random.h"

using namespace bbam;

namespace {

using Mask = std::vector<uint8_t>;

// Random proposals of 7 x 9 pixels over 12 superpixels, most of them few, and a random mask.
struct Case {
  static constexpr int64_t kHeight = 7, kWidth = 9, kPixels = kHeight * kWidth;
  RegionProposals proposals;
  Mask mask;
  BoxArray box{1, 1, 8, 6};

  explicit Case(uint64_t seed) {
    RandomSequence random(seed);
    std::vector<int32_t> labels;
    for (int64_t p = 0; p < kPixels; ++p) {
      labels.push_back(int32_t(random.below(12)));
      mask.push_back(random.uniform() < 0.6 ? uint8_t(1 + random.below(255)) : uint8_t(0));
    }
    labels[0] = 11;  // all twelve are there
    // Whole superpixels in the mask, but for a few pixels: some are contained, some nearly.
    for (size_t p = 0; p < mask.size(); ++p)
      if (labels[p] < 5) mask[p] = random.uniform() < 0.9;
    proposals.superpixels = Tensor::from(labels, {kHeight, kWidth});
    for (int k = 0; k < 40; ++k) {
      std::vector<int32_t> region;
      const double share = random.uniform(0.05, 0.4);
      for (int32_t s = 0; s < 12; ++s)
        if (random.uniform() < share) region.push_back(s);
      proposals.regions.push_back(region);
    }
  }
  Tensor tensor() const { return Tensor::from(mask, {kHeight, kWidth}); }
  bool in_box(size_t p) const {
    const auto x = float(p % kWidth), y = float(p / kWidth);
    return x >= box[0] && x < box[2] && y >= box[1] && y < box[3];
  }
  Mask proposal(size_t k) const {
    Mask m(kPixels, 0);
    for (size_t p = 0; p < m.size(); ++p)
      for (const int32_t s : proposals.regions[k])
        if (proposals.superpixels.data<int32_t>()[p] == s) m[p] = 1;
    return m;
  }
};

// Equation 4 over full masks.
Mask oracle(const Case& c, const RefineSpec& spec) {
  Mask united(c.mask.size(), 0), best;
  double best_iou = 0;
  for (size_t k = 0; k < c.proposals.regions.size(); ++k) {
    const Mask m = c.proposal(k);
    double area = 0, common = 0, either = 0, boxed = 0;
    for (size_t p = 0; p < m.size(); ++p) {
      area += m[p];
      common += m[p] && c.mask[p];
      either += m[p] || c.mask[p];
      boxed += m[p] && c.in_box(p);
    }
    if (common / either > best_iou && boxed >= spec.share_in_box * area)
      best = m, best_iou = common / either;
    if (common > 0 && common >= spec.share_in_mask * area)
      for (size_t p = 0; p < m.size(); ++p) united[p] |= m[p];
  }
  if (best.empty()) return c.mask;
  for (size_t p = 0; p < best.size(); ++p) {
    united[p] |= best[p];
    if (spec.cut_to_box && !c.in_box(p)) united[p] = 0;
  }
  return united;
}

ObjectLabel label_of(const Case& c, const Mask& ignore) {
  Mask foreground = c.mask;
  for (uint8_t& pixel : foreground) pixel = pixel != 0;
  return {Tensor::from(foreground, {Case::kHeight, Case::kWidth}),
          Tensor::from(ignore, {Case::kHeight, Case::kWidth}), LabelSource::kSmallMask};
}

}  // namespace

TEST_CASE("refine: METHOD A9, equation 4: what is inside T, and what fits it best") {
  int64_t with_contained = 0, changed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Case c(seed);
    for (const RefineSpec& spec :
         {RefineSpec::paper(), RefineSpec{.share_in_mask = 0.9},
          RefineSpec{.share_in_mask = 0.8, .share_in_box = 0.6, .cut_to_box = true}}) {
      const RefinedMask refined = refine_mask(c.proposals, c.tensor(), c.box, spec);
      CHECK(refined.mask.to_vector<uint8_t>() == oracle(c, spec));
      with_contained += refined.chosen.size() > 1;
      changed += refined.best >= 0;
    }
  }
  CHECK(with_contained > 100);
  CHECK(changed > 300);
}

TEST_CASE("refine: METHOD A9, by hand: S, its best, and ties") {
  // Superpixels are the columns of one row; T is columns 1 to 4.
  const RegionProposals proposals{Tensor::from(std::vector<int32_t>{0, 1, 2, 3, 4, 5}, {1, 6}),
                                  {{5}, {0, 1, 2, 3}, {2, 3, 4, 5}, {4}, {1, 2}, {}}};
  const Tensor mask = Tensor::from(Mask{0, 1, 1, 1, 1, 0}, {1, 6});
  const RefinedMask refined = refine_mask(proposals, mask, {0, 0, 6, 1}, RefineSpec::paper());
  CHECK(refined.best == 1);  // as good as the next
  CHECK(refined.best_iou == doctest::Approx(3.0 / 5));
  CHECK(refined.chosen == std::vector<int64_t>{1, 3, 4});
  CHECK(refined.mask.to_vector<uint8_t>() == Mask{1, 1, 1, 1, 1, 0});

  const RefinedMask in_box =
      refine_mask(proposals, mask, {1, 0, 6, 1}, {.share_in_box = 0.95, .cut_to_box = true});
  CHECK(in_box.best == 2);
  CHECK(in_box.mask.to_vector<uint8_t>() == Mask{0, 1, 1, 1, 1, 1});
}

TEST_CASE("refine: METHOD A9, B4: the authors leave small boxes alone") {
  const RegionProposals proposals{Tensor::zeros({40, 40}, DType::kI32), {{0}}};
  const Tensor mask = Tensor::full({40, 40}, 1, DType::kU8);
  const RefineSpec authors = RefineSpec::authors();
  CHECK(refine_mask(proposals, mask, {0, 0, 32, 31.9f}, authors).best == -1);
  CHECK(refine_mask(proposals, mask, {0, 0, 40, 39}, authors).best == 0);
  // 92 % of the only proposal lie in this box.
  CHECK(refine_mask(proposals, mask, {0, 0, 40, 37}, authors).best == -1);
  CHECK(refine_mask(proposals, mask, {0, 0, 9, 9}, RefineSpec::paper()).best == 0);
}

TEST_CASE("refine: no proposals, an empty T, and nothing that overlaps leave T as it is") {
  const Case c(1);
  const RegionProposals none{c.proposals.superpixels, {}};
  CHECK(refine_mask(none, c.tensor(), c.box, {}).mask.to_vector<uint8_t>() == c.mask);
  const Tensor empty = Tensor::zeros({Case::kHeight, Case::kWidth}, DType::kU8);
  const RefinedMask of_empty = refine_mask(c.proposals, empty, c.box, {});
  CHECK(of_empty.mask.to_vector<uint8_t>() == Mask(Case::kPixels, 0));
  CHECK(of_empty.chosen.empty());
  CHECK(of_empty.best == -1);
  RegionProposals elsewhere{Tensor::from(std::vector<int32_t>{0, 0, 1}, {1, 3}), {{}, {1}}};
  const Tensor left = Tensor::from(Mask{1, 1, 0}, {1, 3});
  CHECK(refine_mask(elsewhere, left, {0, 0, 3, 1}, {}).mask.to_vector<uint8_t>() == Mask{1, 1, 0});

  CHECK_THROWS_AS(refine_mask(c.proposals, Tensor::zeros({3, 3}, DType::kU8), c.box, {}), Error);
  CHECK_THROWS_AS(refine_mask(c.proposals, empty, c.box, {.share_in_mask = 1.1}), Error);
  CHECK_THROWS_AS(refine_mask(c.proposals, empty, c.box, {.share_in_box = -1}), Error);
}

TEST_CASE("refine: both masks of a label are refined, and stay disjoint") {
  const Case c(3);
  Mask ignore(Case::kPixels, 0);
  for (size_t p = 0; p < ignore.size(); p += 3) ignore[p] = c.mask[p] == 0;
  const ObjectLabel label = label_of(c, ignore);
  const ObjectLabel refined = refine_label(c.proposals, label, c.box, {});
  CHECK(refined.source == LabelSource::kSmallMask);
  CHECK(refined.foreground.to_vector<uint8_t>() == oracle(c, {}));
  Case both = c;
  for (size_t p = 0; p < ignore.size(); ++p) both.mask[p] = c.mask[p] || ignore[p];
  const Mask outer = oracle(both, {}), inner = oracle(c, {});
  const Mask band = refined.ignore.to_vector<uint8_t>();
  int64_t ignored = 0;
  for (size_t p = 0; p < band.size(); ++p) {
    CHECK(band[p] == (outer[p] && !inner[p]));
    ignored += band[p];
  }
  CHECK(ignored > 0);
}
