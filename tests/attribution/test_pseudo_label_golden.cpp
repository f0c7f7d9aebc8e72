// Pseudo labels against numpy and pydensecrf (tests/golden/make_pseudo_label.py).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <string>

#include "attribution/masks.h"
#include "attribution/pseudo_label.h"
#include "tests/attribution/pseudo_label_scene.h"
#include "tests/golden.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr BoxArray kLargeBox{88, 38, 312, 262}, kSmallBox{250, 60, 350, 160};

// A mask that is stored as the pixels at which it changes.
std::vector<uint8_t> stored_mask(const SafetensorsFile& file, const std::string& name) {
  std::vector<uint8_t> mask(size_t(kSceneHeight * kSceneWidth), 0);
  for (const int32_t from : file.tensors.at(name).to_vector<int32_t>())
    for (size_t i = size_t(from); i < mask.size(); ++i) mask[i] ^= 1;
  return mask;
}

struct Agreement {
  double found = 0, expected = 0, iou = 1;
};

Agreement compare(const Tensor& mask, const std::vector<uint8_t>& expected) {
  const auto found = mask.to_vector<uint8_t>();
  REQUIRE(found.size() == expected.size());
  double both = 0;
  Agreement a;
  for (size_t i = 0; i < found.size(); ++i) {
    a.found += found[i];
    a.expected += expected[i];
    both += found[i] && expected[i];
  }
  if (a.found + a.expected > 0) a.iou = both / (a.found + a.expected - both);
  return a;
}

// `band`: the IoU that a thin band must reach, where a pixel's shift weighs more.
void check_preset(const std::string& name, int64_t inner, const PseudoLabelOptions& options,
                  double band) {
  CAPTURE(name);
  const auto file = golden("pseudo_label");
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const auto labels = pseudo_labels(sloped_disc(inner, 112).to(device),
                                      {{hill_map(185, 140).to(device), kLargeBox}}, options);
    REQUIRE(labels.size() == 1);
    CHECK(labels[0].source == LabelSource::kMap);
    const auto foreground = compare(labels[0].foreground, stored_mask(file, name + ".foreground"));
    CHECK(foreground.iou >= 0.99);
    const auto ignore = compare(labels[0].ignore, stored_mask(file, name + ".ignore"));
    CAPTURE(ignore.found);
    CAPTURE(ignore.expected);
    CHECK(ignore.iou >= band);
  }
}

struct FilledCase {
  std::string name;
  int64_t inner;
  BoxArray box;
  double fill;  // the one that the golden file chose
};

// The mask is the golden one, and it is the refinement of that fill and of no other.
void check_filled(const FilledCase& c, const Tensor& map, const PseudoLabelOptions& options,
                  LabelSource source) {
  CAPTURE(c.name);
  const auto file = golden("pseudo_label");
  const double fills[]{0.7, 0.8, 0.9, 0.95, 0.96};
  REQUIRE(c.fill == fills[file.tensors.at(c.name + ".chosen").item<int64_t>()]);
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor picture = sloped_disc(c.inner, 112).to(device);
    const Tensor on_device = map.defined() ? map.to(device) : map;
    const auto labels = pseudo_labels(picture, {{on_device, c.box}}, options);
    REQUIRE(labels.size() == 1);
    CHECK(labels[0].source == source);
    CHECK(count_ones(labels[0].ignore) == 0);
    CHECK(compare(labels[0].foreground, stored_mask(file, c.name + ".foreground")).iou >= 0.99);
    const PixelRect box = pixel_rect(c.box, kSceneHeight, kSceneWidth);
    const auto of_fill = refined_masks(
        DenseCrf(picture), {filled_box(box, c.fill, kSceneHeight, kSceneWidth, device)}, 0.9);
    CHECK(labels[0].foreground.to_vector<uint8_t>() == of_fill[0].to_vector<uint8_t>());
  }
}

}  // namespace

TEST_CASE(
    "pseudo label: METHOD A7, the paper's thresholds give the masks of numpy and pydensecrf") {
  check_preset("paper_112", 112, PseudoLabelOptions::paper(), 0.97);
  check_preset("paper_60", 60, PseudoLabelOptions::paper(), 0.9);
}

TEST_CASE("pseudo label: METHOD A7, the authors' ranks give the masks of numpy and pydensecrf") {
  check_preset("authors_112", 112, PseudoLabelOptions::authors(), 0.99);
  check_preset("authors_60", 60, PseudoLabelOptions::authors(), 0.99);
}

TEST_CASE("pseudo label: METHOD A7, a second attempt keeps the pixels of the first") {
  // The first attempt leaves 503 pixels. Without them the box, filled with 0.9, gives 3856.
  const auto file = golden("pseudo_label");
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const MapOfObject object{hill_map(330, 80).to(device), kSmallBox};
    const auto labels =
        pseudo_labels(sloped_disc(60, 112).to(device), {object}, PseudoLabelOptions::authors());
    REQUIRE(labels.size() == 1);
    CHECK(labels[0].source == LabelSource::kSmallMask);
    for (const auto& [mask, part] :
         {std::pair{labels[0].foreground, "foreground"}, std::pair{labels[0].ignore, "ignore"}}) {
      const auto agreement =
          compare(mask, stored_mask(file, fmt::format("second_attempt.{}", part)));
      CAPTURE(agreement.found);
      CAPTURE(agreement.expected);
      CHECK(agreement.iou >= 0.99);
    }
  }
}

TEST_CASE("pseudo label: METHOD A7, the first fill that covers 1/5 of a box without a map") {
  const FilledCase in_question{"filled_1", 90, kSmallBox, 0.9};
  const auto paper = PseudoLabelOptions::paper(), authors = PseudoLabelOptions::authors();
  check_filled({"filled_0", 112, kLargeBox, 0.7}, Tensor(), paper, LabelSource::kNoMap);
  check_filled(in_question, Tensor(), paper, LabelSource::kNoMap);
  check_filled(in_question, Tensor(), authors, LabelSource::kNoMap);
  check_filled({"filled_2", 60, {200, 150, 312, 262}, 0.8}, Tensor(), paper, LabelSource::kNoMap);
}

TEST_CASE(
    "pseudo label: METHOD A7, the first fill that covers 1/3 of a small box whose map fails") {
  std::vector<float> elsewhere(size_t(12 * 16), 0.f);
  elsewhere[0] = 1;  // far from the box
  check_filled({"filled_3", 112, kSmallBox, 0.95}, Tensor::from(elsewhere, {12, 16}),
               PseudoLabelOptions::authors(), LabelSource::kSmallMask);
}
