#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "attribution/bbam.h"
#include "tests/attribution/toy_detector.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// The toy detector calls everything class 1 and hardly moves boxes, so every box has positives.
struct Scene {
  explicit Scene(Device device = kCpu)
      : detector(DType::kF32, device),
        image(random_tensor({1, 48, 64, 3}, 9, -100, 100).cast(DType::kF32).to(device)) {}

  ToyDetector detector;
  Tensor image;
  std::vector<BbamObject> objects{{.box = {8, 8, 40, 40}, .label = 1, .seed = 1},
                                  {.box = {30, 10, 60, 44}, .label = 1, .seed = 2},
                                  {.box = {10, 10, 40, 40}, .label = 2, .seed = 3}};

  static BbamOptions options(BbamOptions o = BbamOptions::paper()) {
    o.iterations = 20;
    o.snapshots = {1, 5, 20};
    o.positives.proposals = 60;
    o.positives.iou_thresholds = {0.5};
    o.fixed_stride_px = 8;
    o.scale_stride = false;
    return o;
  }
};

bool is_mask(const Tensor& mask) {
  const auto values = mask.to_vector<float>();
  return std::all_of(values.begin(), values.end(), [](float v) { return v >= 0 && v <= 1; });
}

bool is_unsolved(const BbamResult& result) {
  const auto values = result.mask.to_vector<float>();
  return result.positives == 0 && result.curve.empty() && result.snapshots.empty() &&
         std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
}

}  // namespace

TEST_CASE("bbam: METHOD A3, the mask stays in [0, 1] and the objective falls") {
  for (const Device device : available_devices())
    for (const BbamOptions& o : {Scene::options(), Scene::options(BbamOptions::authors())}) {
      Scene scene(device);
      const auto results = solve_bbam(scene.detector, scene.image, scene.objects, o);
      REQUIRE(results.size() == 3);
      for (int k = 0; k < 2; ++k) {
        const BbamResult& r = results[size_t(k)];
        CHECK(r.positives > 0);
        CHECK(r.grid.height == 6);
        CHECK(r.curve.size() == 20);
        CHECK(r.curve.back().total < r.curve.front().total);
        CHECK(r.snapshots.size() == 3);
        CHECK(r.mask.device() == kCpu);
        for (const auto& [iteration, mask] : r.snapshots) CHECK(is_mask(mask));
        CHECK(r.snapshots.back().second.to_vector<float>() == r.mask.to_vector<float>());
      }
    }
}

TEST_CASE("bbam: METHOD A5, an object without positive proposals gets a mask of zeros") {
  Scene scene;
  const auto results = solve_bbam(scene.detector, scene.image, scene.objects, Scene::options());
  CHECK(is_unsolved(results[2]));
  CHECK(results[2].grid.width == 8);
  // Nothing but such objects: no iteration, and none reported.
  scene.detector.predictions = 0;
  int calls = 0;
  const auto none = solve_bbam(scene.detector, scene.image, {scene.objects[2]}, Scene::options(),
                               [&](int64_t, int64_t) { return ++calls > 0; });
  CHECK(is_unsolved(none[0]));
  CHECK(calls == 0);
  CHECK(scene.detector.predictions == 1);
}

TEST_CASE("bbam: METHOD A6, a mask of ones meets its targets exactly") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    Scene scene(device);
    BbamOptions o = Scene::options();
    o.initial = InitialMask::kOnes;
    o.iterations = 1;
    const auto results = solve_bbam(scene.detector, scene.image, scene.objects, o);
    CHECK(std::abs(results[0].curve[0].box) < 1e-6);
    CHECK(std::abs(results[0].curve[0].cls) < 1e-6);
    CHECK(results[0].curve[0].area == close_to(0.007 * 48));
  }
}

TEST_CASE("bbam: METHOD A6, the unmasked image is shown once per object") {
  Scene scene;
  solve_bbam(scene.detector, scene.image, scene.objects, Scene::options());
  CHECK(scene.detector.predictions == 3 + 20);  // one batch of the two with positives
}

TEST_CASE("bbam: objects solved together and one by one give the same masks") {
  for (const Device device : available_devices()) {
    Scene scene(device);
    BbamOptions together = Scene::options(), alone = Scene::options();
    together.batch = 4;
    alone.batch = 1;
    const auto a = solve_bbam(scene.detector, scene.image, scene.objects, together);
    const auto b = solve_bbam(scene.detector, scene.image, scene.objects, alone);
    for (size_t k = 0; k < 2; ++k) {
      const auto x = a[k].mask.to_vector<float>(), y = b[k].mask.to_vector<float>();
      REQUIRE(x.size() == y.size());
      for (size_t i = 0; i < x.size(); ++i) CHECK(std::abs(x[i] - y[i]) <= 1e-3);
    }
  }
}

TEST_CASE("bbam: the same bytes for 1 and 2 threads, and on a second run") {
  const int before = threads();
  for (const Device device : available_devices()) {
    Scene scene(device);
    std::vector<std::vector<float>> masks;
    for (const int count : {1, 2, 2}) {
      set_threads(count);
      masks.push_back(solve_bbam(scene.detector, scene.image, scene.objects, Scene::options())[0]
                          .mask.to_vector<float>());
    }
    CAPTURE(to_string(device));
    CHECK(masks[0] == masks[1]);
    CHECK(masks[0] == masks[2]);
  }
  set_threads(before);
}

TEST_CASE("bbam: METHOD A4, the stride is adaptive and in proportion to the input") {
  Scene scene;
  BbamOptions o = Scene::options();
  o.iterations = 0;
  o.fixed_stride_px = 0;
  o.scale_stride = true;
  const auto results = solve_bbam(scene.detector, scene.image, scene.objects, o);
  const double area = 32.0 * 32 / (48 * 64);
  CHECK(results[0].grid.stride_px == close_to((16 + 48 * std::sqrt(area)) * 48 / 800));
  o.scale_stride = false;
  CHECK(solve_bbam(scene.detector, scene.image, scene.objects, o)[0].grid.stride_px ==
        close_to(16 + 48 * std::sqrt(area)));
}

TEST_CASE("bbam: METHOD A3, without iterations the mask is the initial one") {
  Scene scene;
  BbamOptions o = Scene::options();
  o.iterations = 0;
  o.initial = InitialMask::kOnes;
  const auto results = solve_bbam(scene.detector, scene.image, scene.objects, o);
  for (int k = 0; k < 2; ++k)
    for (const float cell : results[size_t(k)].mask.to_vector<float>()) CHECK(cell == 1);
}

TEST_CASE("bbam: a solve can be stopped, and objects not begun have their initial masks") {
  Scene scene;
  int64_t calls = 0;
  BbamOptions o = Scene::options();
  o.batch = 1;
  o.initial = InitialMask::kOnes;
  o.snapshots = {3};
  const auto results =
      solve_bbam(scene.detector, scene.image, scene.objects, o, [&](int64_t done, int64_t total) {
        CHECK(total == 40);
        calls = done;
        return done < 3;
      });
  CHECK(calls == 3);
  CHECK(results[0].curve.size() == 3);
  REQUIRE(results[0].snapshots.size() == 1);
  CHECK(results[0].mask.to_vector<float>() == results[0].snapshots[0].second.to_vector<float>());
  const auto cells = results[1].mask.to_vector<float>();
  CHECK(std::count(cells.begin(), cells.end(), 1.f) == int64_t(cells.size()));
}

TEST_CASE("bbam: the presets are the paper's and the authors' constants") {
  const BbamOptions paper = BbamOptions::paper(), authors = BbamOptions::authors();
  CHECK(paper.objective.lambda == 0.007);
  CHECK(paper.learning_rate == 0.02);
  CHECK(paper.iterations == 300);
  CHECK(paper.positives.jitter == 0.3);
  CHECK(paper.positives.iou_thresholds == std::vector<double>{0.8});
  CHECK(paper.objective.tv_weight == 0);
  CHECK(authors.objective.tv_weight == 1e-4);
  CHECK(authors.objective.tv_beta == 3);
  CHECK(authors.positives.proposals == 1000);
  CHECK(authors.positives.most == 100);
}
