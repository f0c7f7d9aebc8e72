#include "attribution/pseudo_label.h"

#include <doctest/doctest.h>

#include <cmath>

#include "attribution/masks.h"
#include "tests/attribution/pseudo_label_scene.h"

using namespace bbam;
using namespace bbam::test;

namespace {

Tensor disc_picture(int64_t radius = 112) { return sloped_disc(radius, radius); }
BoxArray disc_box(float radius = 112) {
  return {200 - radius, 150 - radius, 200 + radius, 150 + radius};
}
const BoxArray kDiscBox = disc_box();

double iou_with_disc(const Tensor& mask) {
  const auto m = mask.to_vector<uint8_t>();
  double both = 0, either = 0;
  for (int64_t row = 0; row < kSceneHeight; ++row)
    for (int64_t col = 0; col < kSceneWidth; ++col) {
      const bool a = m[size_t(row * kSceneWidth + col)] != 0;
      const bool b = square_from_middle(row, col) < 112 * 112;
      both += a && b;
      either += a || b;
    }
  return both / either;
}

int64_t overlap(const Tensor& a, const Tensor& b) {
  return count_ones(a) - count_ones(without(a, b));
}

}  // namespace

TEST_CASE("pseudo label: METHOD A7, the CRF turns a coarse map into the object's outline") {
  for (const auto& options : {PseudoLabelOptions::paper(), PseudoLabelOptions::authors()}) {
    for (const Device device : available_devices()) {
      const auto labels =
          pseudo_labels(disc_picture().to(device), {{hill_map().to(device), kDiscBox}}, options);
      REQUIRE(labels.size() == 1);
      CHECK(labels[0].source == LabelSource::kMap);
      INFO("on ", to_string(device), " foreground ", count_ones(labels[0].foreground), " ignored ",
           count_ones(labels[0].ignore));
      CHECK(iou_with_disc(labels[0].foreground) > 0.9);
      CHECK(overlap(labels[0].foreground, labels[0].ignore) == 0);
    }
  }
}

TEST_CASE(
    "pseudo label: a sparse map vanishes when it is rescaled by its extremes, and not by rank") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    std::vector<float> sparse = hill_map().to_vector<float>();
    for (float& value : sparse)
      value = std::pow(value / 0.4f, 6.f);  // a narrow peak, as lambda leaves it
    const MapOfObject object{Tensor::from(sparse, {12, 16}, device), kDiscBox};
    PseudoLabelOptions options = PseudoLabelOptions::paper();
    CHECK(iou_with_disc(pseudo_labels(disc_picture().to(device), {object}, options)[0].foreground) >
          0.9);
    options.map_scale = MapScale::kMinMax;
    CHECK(iou_with_disc(pseudo_labels(disc_picture().to(device), {object}, options)[0].foreground) <
          0.1);
  }
}

TEST_CASE("pseudo label: METHOD A7, what only the 0.2 mask holds is ignored") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    PseudoLabelOptions options = PseudoLabelOptions::authors();
    options.crf.appearance_weight = 0;  // nothing but the map decides
    const auto labels =
        pseudo_labels(disc_picture().to(device), {{hill_map().to(device), kDiscBox}}, options);
    CHECK(count_ones(labels[0].foreground) > 0);
    CHECK(count_ones(labels[0].ignore) > 0);
    CHECK(count_ones(labels[0].foreground) + count_ones(labels[0].ignore) < 224 * 224);
  }
}

TEST_CASE("pseudo label: METHOD A7, without a map the box is filled and refined") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    for (const auto& options : {PseudoLabelOptions::paper(), PseudoLabelOptions::authors()}) {
      const auto labels =
          pseudo_labels(disc_picture().to(device),
                        {{Tensor(), kDiscBox}, {hill_map().to(device), kDiscBox}}, options);
      REQUIRE(labels.size() == 2);
      CHECK(labels[0].source == LabelSource::kNoMap);
      CHECK(labels[1].source == LabelSource::kMap);
      CHECK(count_ones(labels[0].ignore) == 0);
      CHECK(count_ones(labels[0].foreground) > 224 * 224 / 5);
    }
  }
}

TEST_CASE("pseudo label: METHOD A7, a map of zeros, or of what 8 bits make zeros, is no map") {
  const Tensor zeros = Tensor::zeros({12, 16});
  Tensor flicker = zeros.clone(), seen = zeros.clone();
  flicker.mutable_data<float>()[6 * 16 + 8] = 0.99f / 255;
  seen.mutable_data<float>()[6 * 16 + 8] = 1.01f / 255;
  for (const auto& options : {PseudoLabelOptions::paper(), PseudoLabelOptions::authors()}) {
    const auto labels = pseudo_labels(
        disc_picture(),
        {{zeros, kDiscBox}, {flicker, kDiscBox}, {Tensor(), kDiscBox}, {seen, kDiscBox}}, options);
    for (const int k : {0, 1}) {
      CHECK(labels[size_t(k)].source == LabelSource::kNoMap);
      CHECK(labels[size_t(k)].foreground.to_vector<uint8_t>() ==
            labels[2].foreground.to_vector<uint8_t>());
    }
    CHECK(labels[3].source == LabelSource::kMap);
  }
}

TEST_CASE("pseudo label: METHOD A7, table 5, one threshold leaves nothing to ignore") {
  for (auto options : {PseudoLabelOptions::paper(), PseudoLabelOptions::authors()}) {
    options.crf.iterations = 0;  // of a disc of one colour it would leave nothing in between
    const auto two = pseudo_labels(disc_picture(), {{hill_map(), kDiscBox}}, options);
    CHECK(count_ones(two[0].ignore) > 0);
    options.theta_bg = options.theta_fg;
    const auto one = pseudo_labels(disc_picture(), {{hill_map(), kDiscBox}}, options);
    CHECK(count_ones(one[0].ignore) == 0);
    CHECK(one[0].foreground.to_vector<uint8_t>() == two[0].foreground.to_vector<uint8_t>());
  }
}

TEST_CASE("pseudo label: thresholds out of range are refused") {
  const auto label = [](double PseudoLabelOptions::*option, double value) {
    PseudoLabelOptions options;
    options.*option = value;
    return pseudo_labels(disc_picture(), {{hill_map(), kDiscBox}}, options);
  };
  for (const double value : {1.5, 0.19, double(NAN)})
    CHECK_THROWS_WITH_AS(label(&PseudoLabelOptions::theta_fg, value),
                         doctest::Contains("expected 0 <= theta_bg <= theta_fg <= 1"), Error);
  CHECK_THROWS_WITH_AS(label(&PseudoLabelOptions::theta_bg, -0.1),
                       doctest::Contains("theta_bg -0.1"), Error);
  CHECK_THROWS_WITH_AS(label(&PseudoLabelOptions::certainty, 2), doctest::Contains("certainty 2"),
                       Error);
}

TEST_CASE("pseudo label: METHOD A7, a mask of less than 1/5 of a small box is replaced") {
  std::vector<float> elsewhere(size_t(12 * 16), 0.f);
  elsewhere[0] = 1;
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor picture = disc_picture(35).to(device);  // a box of 4900 of 120000 pixels
    const Tensor nothing = Tensor::from(elsewhere, {12, 16}).to(device);  // 0 inside the boxes
    const auto authors =
        pseudo_labels(picture, {{nothing, disc_box(35)}}, PseudoLabelOptions::authors());
    CHECK(authors[0].source == LabelSource::kSmallMask);
    CHECK(count_ones(authors[0].foreground) > 4900 / 3);
    const auto large = pseudo_labels(disc_picture().to(device), {{nothing, kDiscBox}},
                                     PseudoLabelOptions::authors());
    CHECK(large[0].source == LabelSource::kMap);  // over 1/10 of the image: left as it is
    CHECK(count_ones(large[0].foreground) == 0);
  }
}

TEST_CASE("pseudo label: objects solved together and alone get the same masks") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor picture = disc_picture().to(device), map = hill_map().to(device);
    const MapOfObject a{map, kDiscBox}, b{map, {12, 12, 150, 125}};
    const auto both = pseudo_labels(picture, {a, b}, PseudoLabelOptions::authors());
    const auto alone = pseudo_labels(picture, {b}, PseudoLabelOptions::authors());
    CHECK(both[1].foreground.to_vector<uint8_t>() == alone[0].foreground.to_vector<uint8_t>());
  }
  CHECK(pseudo_labels(disc_picture(), {}, {}).empty());
}
