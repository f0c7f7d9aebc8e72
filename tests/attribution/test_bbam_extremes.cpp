// Inputs at the edge of what the solver takes, and beyond it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "attribution/bbam.h"
#include "tests/attribution/toy_detector.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

BbamOptions short_options(BbamOptions o) {
  o.iterations = 5;
  o.snapshots = {5};
  o.positives.proposals = 40;
  o.positives.jitter = 0.1;
  o.scale_stride = false;
  return o;
}

const BbamOptions kPresets[]{short_options(BbamOptions::paper()),
                             short_options(BbamOptions::authors())};

Tensor picture(int64_t height, int64_t width, Device device = kCpu) {
  return random_tensor({1, height, width, 3}, 9, -100, 100).cast(DType::kF32).to(device);
}

BbamResult solve_one(const Tensor& image, const BbamObject& object, const BbamOptions& options) {
  ToyDetector detector(DType::kF32, image.device());
  const auto results = solve_bbam(detector, image, {object}, options);
  REQUIRE(results.size() == 1);
  return results[0];
}

void check_solved(const BbamResult& r) {
  CHECK(r.positives > 0);
  CHECK(r.mask.shape() == Shape{r.grid.height, r.grid.width});
  CHECK(r.curve.size() == 5);
  for (const ObjectiveTerms& terms : r.curve) CHECK(std::isfinite(terms.total));
  for (const float v : r.mask.to_vector<float>()) CHECK((v >= 0 && v <= 1));
}

void check_unsolved(const BbamResult& r) {
  CHECK(r.positives == 0);
  CHECK(r.mean_positive_iou == 0);
  CHECK(r.curve.empty());
  CHECK(r.snapshots.empty());
  CHECK(r.mask.shape() == Shape{r.grid.height, r.grid.width});
  for (const float v : r.mask.to_vector<float>()) CHECK(v == 0);
}

}  // namespace

TEST_CASE("bbam: a box as large as the image") {
  for (const Device device : available_devices())
    for (const BbamOptions& o : kPresets) {
      const auto r = solve_one(picture(48, 64, device), {.box = {0, 0, 64, 48}, .label = 1}, o);
      check_solved(r);
      CHECK(r.grid.stride_px == 64);
      CHECK(r.grid.height == 1);
      CHECK(r.grid.width == 1);
    }
}

TEST_CASE("bbam: a box of one pixel") {
  for (const Device device : available_devices())
    for (const BbamOptions& o : kPresets) {
      const auto r = solve_one(picture(48, 64, device), {.box = {20, 20, 21, 21}, .label = 1}, o);
      // Cut to whole pixels, as the authors do, few regressed boxes are that pixel, or none.
      const bool may_fail = o.positives.truncate_boxes && r.positives == 0;
      if (may_fail) check_unsolved(r);
      if (!may_fail) check_solved(r);
      CHECK(r.grid.stride_px > 16);
      CHECK(r.grid.stride_px < 17);
    }
}

TEST_CASE("bbam: an image smaller than the stride has a mask of one cell") {
  for (const Device device : available_devices())
    for (BbamOptions o : kPresets) {
      for (const double stride : {0.0, 100.0}) {
        o.fixed_stride_px = stride;
        const auto r = solve_one(picture(9, 13, device), {.box = {1, 1, 11, 8}, .label = 1}, o);
        CHECK(r.mask.shape() == Shape{1, 1});
        if (r.positives > 0) check_solved(r);
      }
      const auto pixel = solve_one(picture(1, 1, device), {.box = {0, 0, 1, 1}, .label = 1}, o);
      CHECK(pixel.mask.shape() == Shape{1, 1});
    }
}

TEST_CASE("bbam: boxes that no proposal can speak for give masks of zeros") {
  const BoxArray boxes[]{{20, 20, 20, 20},      // no area
                         {200, 200, 220, 230},  // beyond the image
                         {40, 40, 8, 8}};       // corners exchanged
  for (BbamOptions o : kPresets) {
    for (const BoxArray& box : boxes) check_unsolved(solve_one(picture(48, 64), {box, 1, 1}, o));
    o.positives.proposals = 0;
    check_unsolved(solve_one(picture(48, 64), {{8, 8, 40, 40}, 1, 1}, o));
  }
}

TEST_CASE("bbam: no objects, no results") {
  ToyDetector detector;
  CHECK(solve_bbam(detector, picture(8, 8), {}, kPresets[0]).empty());
  CHECK(detector.predictions == 0);
}

TEST_CASE("bbam: what cannot be solved is named") {
  ToyDetector detector;
  const BbamObject object{.box = {8, 8, 40, 40}, .label = 1};
  const auto solve = [&](const Tensor& image, const BbamObject& o, const BbamOptions& options) {
    return solve_bbam(detector, image, {o}, options);
  };
  const Tensor image = picture(48, 64);
  BbamOptions o = kPresets[0];
  CHECK_THROWS_WITH_AS(solve(Tensor::zeros({2, 48, 64, 3}), object, o),
                       doctest::Contains("solve_bbam: image"), Error);
  CHECK_THROWS_WITH_AS(solve(image, {.box = object.box, .label = 3}, o),
                       doctest::Contains("class 3; the detector knows 1 to 2"), Error);
  CHECK_THROWS_WITH_AS(solve(image, {.box = object.box, .label = 0}, o),
                       doctest::Contains("class 0"), Error);
  CHECK_THROWS_AS(solve(image, {.box = {NAN, 8, 40, 40}, .label = 1}, o), Error);
  o.iterations = -1;
  CHECK_THROWS_WITH_AS(solve(image, object, o), doctest::Contains("-1 iterations"), Error);
  o = kPresets[0];
  o.batch = 0;
  CHECK_THROWS_WITH_AS(solve(image, object, o), doctest::Contains("0 objects at a time"), Error);
  o = kPresets[0];
  o.positives.iou_thresholds.clear();
  CHECK_THROWS_WITH_AS(solve(image, object, o), doctest::Contains("no IoU threshold"), Error);
  o = {};
  o.learning_rate = -1;
  CHECK_THROWS_WITH_AS(solve(image, object, o), doctest::Contains("learning rate -1"), Error);
  o = {};
  o.fixed_stride_px = -3;
  CHECK_THROWS_WITH_AS(solve(image, object, o), doctest::Contains("stride -3"), Error);
}
