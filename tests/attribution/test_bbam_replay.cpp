// The solver against plain loops (replay.h): initial masks, every term, the masks on the way.
#include <doctest/doctest.h>

#include <cmath>

#include "attribution/bbam.h"
#include "tests/attribution/replay.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr int64_t kHeight = 96, kWidth = 128;

// Two objects, so that the masks of one batch have different sizes and rows of their own.
const std::vector<BbamObject> kObjects{{.box = {14, 10, 88, 80}, .label = 1, .seed = 1},
                                       {.box = {60, 22, 116, 70}, .label = 1, .seed = 2}};

// Few proposals, close enough to their boxes that about half are positive.
const PositiveSpec kJitter{.proposals = 40, .jitter = 0.1};

std::vector<float> picture() {
  return random_tensor({kHeight, kWidth, 3}, 9, -100, 100).cast(DType::kF32).to_vector<float>();
}

// The preset as it stands; of the rest only what keeps the test short.
BbamOptions options_of(const ReplaySpec& spec) {
  BbamOptions o = spec.authors ? BbamOptions::authors() : BbamOptions::paper();
  o.objective.use_box_head = spec.box_head;
  o.objective.use_class_head = spec.class_head;
  o.fixed_stride_px = spec.fixed_stride_px;
  o.scale_stride = false;
  o.initial = spec.from_ones ? InitialMask::kOnes : InitialMask::kRegressedBoxes;
  o.iterations = spec.iterations;
  o.snapshots = {1, 5, 10};
  o.positives.proposals = kJitter.proposals;
  o.positives.jitter = kJitter.jitter;
  return o;
}

std::vector<BbamResult> solve(const ReplaySpec& spec, const BbamOptions& options, Device device) {
  ToyDetector detector(DType::kF32, device, spec.gain);
  return solve_bbam(detector, Tensor::from(picture(), {1, kHeight, kWidth, 3}, device), kObjects,
                    options);
}

Replay expected_of(const BbamObject& object, const ReplaySpec& spec) {
  const auto pixels = picture();
  const auto proposals = jittered_proposals(object.box, kHeight, kWidth, kJitter, object.seed);
  return replay({pixels.begin(), pixels.end()}, kHeight, kWidth, object.box, object.label,
                proposals.to_vector<float>(), spec);
}

// A two-hundredth of one step: the replay is in double, the solver in float.
constexpr double kMaskTolerance = 1e-4;

void check_mask(const Tensor& mask, const std::vector<double>& expected, double tolerance) {
  const auto values = mask.to_vector<float>();
  REQUIRE(values.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::abs(double(values[i]) - expected[i]));
  CHECK(worst <= tolerance);
}

void check_curve(const BbamResult& result, const Replay& expected, const ReplaySpec& spec) {
  REQUIRE(result.curve.size() == expected.curve.size());
  for (size_t i = 0; i < result.curve.size(); ++i) {
    CAPTURE(i);
    const ObjectiveTerms& found = result.curve[i];
    const ReplayTerms& sought = expected.curve[i];
    CHECK(found.area == close_to(sought.area, 1e-5));
    CHECK(std::abs(found.tv - sought.tv) <= 1e-4 * sought.tv + 1e-12);
    CHECK(std::abs(found.box - sought.box) <= 1e-4 * sought.box + 1e-6);
    CHECK(std::abs(found.cls - sought.cls) <= 1e-4 * sought.cls + 1e-6);
    const double heads = (spec.box_head ? found.box : 0) + (spec.class_head ? found.cls : 0);
    CHECK(found.total == close_to(found.area + found.tv + heads, 1e-9));
    // From a mask of ones the first answer is the target itself.
    const bool differs = i > 0 || !spec.from_ones;
    if (differs) CHECK(found.box > 1e-4);
    if (differs) CHECK(found.cls > 1e-4);
  }
}

// At a distance of 0 the slope of |x| hangs on the last bit. The targets come from more rows than
// the iterations have, and a vendor's library may sum those otherwise.
bool meets_targets_exactly(const BbamResult& result) {
  CHECK(result.curve[0].box < 1e-5);
  CHECK(result.curve[0].cls < 1e-5);
  return result.curve[0].box == 0 && result.curve[0].cls == 0;
}

void check_replay(const ReplaySpec& spec) {
  CAPTURE(spec.authors);
  CAPTURE(spec.fixed_stride_px);
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const auto results = solve(spec, options_of(spec), device);
    BbamOptions still = options_of(spec);
    still.learning_rate = 0;
    still.iterations = 1;
    const auto starts = solve(spec, still, device);
    for (size_t k = 0; k < kObjects.size(); ++k) {
      CAPTURE(k);
      const Replay expected = expected_of(kObjects[k], spec);
      REQUIRE(expected.positives >= 5);
      CHECK(results[k].positives == expected.positives);
      CHECK(results[k].grid.height == expected.grid_height);
      CHECK(results[k].grid.width == expected.grid_width);
      check_mask(starts[k].mask, expected.masks[0], 0);
      if (spec.from_ones && !meets_targets_exactly(results[k])) continue;
      REQUIRE(results[k].snapshots.size() == 3);
      for (const auto& [iteration, mask] : results[k].snapshots) {
        CAPTURE(iteration);
        check_mask(mask, expected.masks[size_t(iteration)], kMaskTolerance);
      }
      check_curve(results[k], expected, spec);
    }
  }
}

constexpr double kStridePx = 19, kGain = 4;  // 6 x 7 cells rounded up, 5 x 6 truncated

}  // namespace

TEST_CASE("bbam: METHOD A3, ten iterations of both presets are those of plain loops") {
  for (const bool authors : {false, true})
    check_replay({.authors = authors, .fixed_stride_px = kStridePx, .gain = kGain});
}

TEST_CASE("bbam: METHOD A3, ten iterations with each head alone are those of plain loops") {
  for (const bool authors : {false, true})
    for (const bool box : {false, true})
      check_replay({.authors = authors,
                    .box_head = box,
                    .class_head = !box,
                    .fixed_stride_px = kStridePx,
                    .gain = kGain});
}

TEST_CASE("bbam: METHOD A4, ten iterations at the adaptive stride are those of plain loops") {
  for (const bool authors : {false, true}) check_replay({.authors = authors, .gain = kGain});
}

TEST_CASE("bbam: METHOD A3, ten iterations from a mask of ones are those of plain loops") {
  for (const bool authors : {false, true})
    check_replay(
        {.authors = authors, .fixed_stride_px = kStridePx, .from_ones = true, .gain = kGain});
}
