#include "segmenters/color_spaces.h"

#include <doctest/doctest.h>

#include "tests/golden.h"

using namespace bbam;

namespace {

using Row = std::vector<float>;

Row converted(const std::vector<uint8_t>& rgb, ColorSpace space) {
  return to_color_space(Tensor::from(rgb, {1, int64_t(rgb.size()) / 3, 3}), space)
      .to_vector<float>();
}

}  // namespace

TEST_CASE("color spaces: Lab and HSV as scikit-image's, from 0 to 255") {
  const SafetensorsFile file = test::golden("regions");
  const Tensor& rgb = file.tensors.at("rgb");
  const auto lab = to_color_space(rgb, ColorSpace::kLab).to_vector<float>();
  const auto hsv = to_color_space(rgb, ColorSpace::kHsv).to_vector<float>();
  const auto hue = to_color_space(rgb, ColorSpace::kHue).to_vector<float>();
  const auto expected_lab = file.tensors.at("lab").to_vector<double>();
  const auto expected_hsv = file.tensors.at("hsv").to_vector<double>();
  for (size_t i = 0; i < lab.size(); ++i) {
    CAPTURE(i);
    const double l_or_ab = i % 3 == 0 ? 2.55 * expected_lab[i] : expected_lab[i] + 128;
    CHECK(lab[i] == doctest::Approx(l_or_ab).epsilon(1e-4).scale(255));
    CHECK(hsv[i] == doctest::Approx(255 * expected_hsv[i]).epsilon(1e-5).scale(255));
    if (i % 3 == 0) CHECK(hue[i / 3] == hsv[i]);
  }
}

TEST_CASE("color spaces: by hand") {
  const std::vector<uint8_t> colors{10, 20, 70, 0, 0, 0};
  CHECK(converted(colors, ColorSpace::kRgb) == Row{10, 20, 70, 0, 0, 0});
  CHECK(converted(colors, ColorSpace::kIntensity) == Row{100.f / 3, 0});
  CHECK(converted(colors, ColorSpace::kRgI) ==
        Row{255.f * 10 / 100, 255.f * 20 / 100, 100.f / 3, 85, 85, 0});
  CHECK_THROWS_AS(to_color_space(Tensor::zeros({2, 2, 4}, DType::kU8), ColorSpace::kLab), Error);
  CHECK_THROWS_AS(to_color_space(Tensor::zeros({2, 2, 3}), ColorSpace::kLab), Error);
}
