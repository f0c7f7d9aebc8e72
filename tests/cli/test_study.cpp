#include "cli/study.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace bbam;

namespace {

// A dark disc of radius 60 in a bright picture; its map is a hill.
Image disc_picture(bool truth) {
  Image image(240, 180, truth ? 1 : 3);
  for (int y = 0; y < 180; ++y)
    for (int x = 0; x < 240; ++x) {
      const bool inside = (x - 120) * (x - 120) + (y - 90) * (y - 90) < 60 * 60;
      for (int c = 0; c < image.channels; ++c)
        image.at(x, y)[c] =
            truth ? uint8_t(inside) : uint8_t((inside ? 60 : 190) + (7 * x + 3 * y + c) % 4);
    }
  return image;
}

Tensor hill() {
  std::vector<float> map;
  for (int i = 0; i < 9; ++i)
    for (int j = 0; j < 12; ++j) {
      const double y = 20 * i + 10 - 90, x = 20 * j + 10 - 120;
      map.push_back(float(0.3 * std::exp(-(x * x + y * y) / (2.0 * 50 * 50))));
    }
  return Tensor::from(map, {9, 12});
}

}  // namespace

TEST_CASE("study: a filled box, a map and their refinements are told apart on a disc") {
  Study study{StudySpec()};
  const PixelBox box{60, 30, 180, 150};
  study.add(disc_picture(false),
            {{hill(), box, disc_picture(true)}, {Tensor(), box, disc_picture(true)}});
  CHECK(study.objects() == 1);
  CHECK(study.best("filled box").mean() == doctest::Approx(3.14159 / 4).epsilon(0.01));
  CHECK(study.best("map").mean() > 0.85);
  CHECK(study.best("map, authors' label step").mean() > 0.95);
  CHECK(study.best("map, paper's label step").mean() > 0.95);
  CHECK_THROWS_AS(study.best("other"), Error);
}
