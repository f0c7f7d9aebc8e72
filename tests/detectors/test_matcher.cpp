#include "detectors/matcher.h"

#include <doctest/doctest.h>

#include "tests/op_case.h"

using namespace bbam;

namespace {

using Labels = std::vector<int64_t>;

Labels matched(const std::vector<float>& iou, Shape shape, const MatcherSpec& spec) {
  return match(Tensor::from(iou, shape), spec).to_vector<int64_t>();
}

}  // namespace

TEST_CASE("matcher: METHOD B1, RPN: foreground from 0.7, background below 0.3") {
  const MatcherSpec plain{kRpnMatcher.foreground_iou, kRpnMatcher.background_iou, false};
  const std::vector<float> iou{0.7f, 0.69f, 0.3f, 0.29f, 0.1f,  //
                               0.2f, 0.1f,  0.1f, 0.0f,  0.9f};
  CHECK(matched(iou, {2, 5}, plain) ==
        Labels{0, kMatchedNothing, kMatchedNothing, kMatchedBackground, 1});
}

TEST_CASE("matcher: METHOD B1, RPN: low-quality matches are allowed, ties included") {
  CHECK(kRpnMatcher.low_quality_matches);
  // Box 0 has its best IoU, 0.4, twice; candidate 1 lies closer to box 1 and goes there.
  const std::vector<float> iou{0.4f, 0.4f, 0.2f, 0.1f,  //
                               0.0f, 0.5f, 0.6f, 0.0f};
  CHECK(matched(iou, {2, 4}, kRpnMatcher) == Labels{0, 1, 1, kMatchedBackground});
}

TEST_CASE("matcher: a box that overlaps nothing matches nothing") {
  const std::vector<float> iou{0.0f, 0.0f, 0.0f,  //
                               0.8f, 0.1f, 0.0f};
  CHECK(matched(iou, {2, 3}, kRpnMatcher) == Labels{1, kMatchedBackground, kMatchedBackground});
}

TEST_CASE("matcher: METHOD B1, RoIs: foreground from 0.5, background below 0.5") {
  CHECK(kRoiMatcher.foreground_iou == 0.5);
  CHECK(kRoiMatcher.background_iou == 0.5);
  CHECK_FALSE(kRoiMatcher.low_quality_matches);
  CHECK(matched({0.5f, 0.49f, 0.0f}, {1, 3}, kRoiMatcher) ==
        Labels{0, kMatchedBackground, kMatchedBackground});
}

TEST_CASE("matcher: first box wins a tie; no boxes, no candidates") {
  CHECK(matched({0.8f, 0.8f}, {2, 1}, kRpnMatcher) == Labels{0});
  CHECK(matched({}, {0, 3}, kRpnMatcher) ==
        Labels{kMatchedBackground, kMatchedBackground, kMatchedBackground});
  CHECK(matched({}, {2, 0}, kRpnMatcher).empty());
  CHECK_THROWS_AS(matched({0.1f}, {1, 1}, {0.3, 0.7, false}), Error);
}

TEST_CASE("matcher: agrees with a candidate-by-candidate reading of the rules") {
  const int64_t boxes = 6, candidates = 40;
  const auto iou = test::random_tensor({boxes, candidates}, 9, 0, 1).cast(DType::kF32);
  const auto value = iou.to_vector<float>();
  const auto got = match(iou, {0.9, 0.6, true}).to_vector<int64_t>();
  for (int64_t a = 0; a < candidates; ++a) {
    int64_t best = 0;
    bool is_best_of_some_box = false;
    for (int64_t g = 0; g < boxes; ++g) {
      if (value[size_t(g * candidates + a)] > value[size_t(best * candidates + a)]) best = g;
      int64_t exceeding = 0;
      for (int64_t other = 0; other < candidates; ++other)
        exceeding += value[size_t(g * candidates + other)] > value[size_t(g * candidates + a)];
      is_best_of_some_box |= exceeding == 0;
    }
    const float highest = value[size_t(best * candidates + a)];
    const int64_t expected = highest >= 0.9f || is_best_of_some_box ? best
                             : highest < 0.6f                       ? kMatchedBackground
                                                                    : kMatchedNothing;
    CHECK(got[size_t(a)] == expected);
  }
}
