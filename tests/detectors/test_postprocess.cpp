#include "detectors/postprocess.h"

#include <doctest/doctest.h>

using namespace bbam;

namespace {

constexpr FrameSize kFrame{.height = 50, .width = 100};

// Three RoIs, two classes. Every class of a RoI regresses the same box.
Tensor boxes() {
  const std::vector<std::vector<float>> per_roi{{0, 0, 20, 20}, {1, 0, 21, 20}, {60, 40, 120, 60}};
  std::vector<float> values;
  for (const auto& box : per_roi)
    for (int c = 0; c < 3; ++c) values.insert(values.end(), box.begin(), box.end());
  return Tensor::from(values, {3, 12});
}

}  // namespace

TEST_CASE("postprocess: METHOD B1, score > 0.05, NMS 0.5 per class, 100 detections") {
  const DetectionSpec spec;
  CHECK(spec.score_threshold == 0.05);
  CHECK(spec.nms_iou == 0.5);
  CHECK(spec.most == 100);
  // RoIs 0 and 1 overlap by 19 / 21: of class 1 the better stays, of class 2 only one is above the
  // threshold. The background's score counts for nothing.
  const Tensor probabilities =
      Tensor::from<float>({0.1f, 0.6f, 0.3f, 0.2f, 0.75f, 0.05f, 0.86f, 0.04f, 0.1f}, {3, 3});
  for (Device device : available_devices()) {
    const Detections got =
        postprocess(probabilities.to(device), boxes().to(device), kFrame, spec, false);
    CHECK(got.scores.to_vector<float>() == std::vector<float>{0.75f, 0.3f, 0.1f});
    CHECK(got.labels.to_vector<int64_t>() == std::vector<int64_t>{1, 2, 2});
    CHECK(got.boxes.to_vector<float>() ==
          std::vector<float>{1, 0, 21, 20, 0, 0, 20, 20, 60, 40, 100, 50});
  }
}

TEST_CASE("postprocess: the best detections are kept, small boxes may be dropped") {
  const Tensor probabilities =
      Tensor::from<float>({0.1f, 0.9f, 0.0f, 0.2f, 0.0f, 0.8f, 0.3f, 0.7f, 0.0f}, {3, 3});
  const DetectionSpec two{.most = 2};
  CHECK(postprocess(probabilities, boxes(), kFrame, two, true).scores.to_vector<float>() ==
        std::vector<float>{0.9f, 0.8f});
  const DetectionSpec large{.min_side_px = 15};  // the third is cut to 40 x 10
  CHECK(postprocess(probabilities, boxes(), kFrame, large, true).labels.to_vector<int64_t>() ==
        std::vector<int64_t>{1, 2});
}

TEST_CASE("postprocess: nothing found, nothing proposed") {
  const Tensor background = Tensor::from<float>({1, 0, 0, 1, 0, 0, 1, 0, 0}, {3, 3});
  const Detections none = postprocess(background, boxes(), kFrame, {}, true);
  CHECK(none.boxes.shape() == Shape{0, 4});
  CHECK(none.scores.shape() == Shape{0});
  CHECK(none.labels.shape() == Shape{0});
  const Detections empty = postprocess(background.rows(0, 0), boxes().rows(0, 0), kFrame, {}, true);
  CHECK(empty.boxes.shape() == Shape{0, 4});
  CHECK_THROWS_AS(postprocess(background, boxes().reshape({9, 4}), kFrame, {}, true), Error);
}
