#include "cli/draw.h"

#include <doctest/doctest.h>

#include <cmath>

#include "cli/font.h"
#include "tensor/check.h"

using namespace bbam;

namespace {

// CIE lightness, by another road than OKLCH.
double lightness(Color c) {
  const auto linear = [](uint8_t v) {
    const double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4);
  };
  const double y = 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  return y > 0.008856 ? 116 * std::cbrt(y) - 16 : 903.3 * y;
}

Color at(const Image& image, int x, int y) {
  return {image.at(x, y)[0], image.at(x, y)[1], image.at(x, y)[2]};
}

Image grey(int width, int height, uint8_t value) {
  Image image(width, height, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

}  // namespace

TEST_CASE("draw: OKLCH of known colours") {
  CHECK(oklch(1, 0, 0) == Color{255, 255, 255});
  CHECK(oklch(0, 0, 0) == Color{0, 0, 0});
  // sRGB red is (0.628, 0.2577, 29.23 degrees), blue (0.452, 0.3132, 264.05 degrees).
  const Color red = oklch(0.62796, 0.25768, 29.234), blue = oklch(0.45201, 0.31321, 264.052);
  CHECK(red[0] >= 254);
  CHECK(red[1] <= 2);
  CHECK(red[2] <= 2);
  CHECK(blue[2] >= 254);
  CHECK(blue[0] <= 2);
}

TEST_CASE("draw: the heat scale grows lighter all the way, nearly evenly") {
  double before = lightness(heat_color(0));
  CHECK(before < 6);
  for (int i = 1; i <= 20; ++i) {
    const double now = lightness(heat_color(i / 20.0));
    CHECK(now - before > 1.5);
    CHECK(now - before < 9);
    before = now;
  }
  CHECK(before > 90);
  CHECK(heat_color(-1) == heat_color(0));
  CHECK(heat_color(2) == heat_color(1));
  CHECK(heat_color(std::nan("")) == heat_color(0));
}

TEST_CASE("draw: the first classes' colours are far apart") {
  for (int a = 1; a <= 10; ++a)
    for (int b = a + 1; b <= 10; ++b) {
      int distance = 0;
      for (size_t c = 0; c < 3; ++c)
        distance += std::abs(int(class_color(a)[c]) - int(class_color(b)[c]));
      CHECK_MESSAGE(distance > 40, a, " and ", b);
    }
}

TEST_CASE("draw: boxes lie inside their edges and are clipped") {
  Image image = grey(10, 8, 0);
  draw_box(image, {2, 1, 7, 6}, {9, 9, 9}, 1);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 10; ++x) {
      const bool inside = x >= 2 && x < 7 && y >= 1 && y < 6;
      const bool core = x >= 3 && x < 6 && y >= 2 && y < 5;
      CHECK((at(image, x, y)[0] == 9) == (inside && !core));
    }
  draw_box(image, {-5, -5, 50, 50}, {1, 1, 1}, 2);
  draw_labelled_boxes(image, {{{-5, -5, 50, 50}, "a very long name", {1, 1, 1}}});
}

TEST_CASE("draw: labels lie above their boxes, and elsewhere where another label is") {
  const ImageSize size{200, 160};
  std::vector<PixelBox> taken;
  CHECK(place_label({40, 60, 120, 100}, 30, 10, size, taken) == PixelBox{40, 50, 70, 60});
  CHECK(place_label({40, 60, 120, 100}, 30, 10, size, taken) == PixelBox{90, 50, 120, 60});
  CHECK(place_label({40, 60, 120, 100}, 30, 10, size, taken) == PixelBox{40, 100, 70, 110});
  // At the upper edge there is no room above.
  CHECK(place_label({0, 5, 35, 25}, 30, 10, size, taken) == PixelBox{0, 25, 30, 35});
  CHECK(taken.size() == 4);
  Image image = grey(200, 160, 0);
  draw_labelled_boxes(
      image, {{{40, 60, 120, 100}, "a", {255, 255, 255}}, {{40, 60, 121, 100}, "b", {200, 0, 0}}});
  const ImageSize bar = label_size("a");
  CHECK(at(image, 40, 60 - bar.height) == Color{255, 255, 255});
  CHECK(at(image, 120, 60 - bar.height) == Color{200, 0, 0});
}

TEST_CASE("draw: letters") {
  // The letter T: its bar and its stem.
  for (int y = 0; y < kGlyphHeight; ++y)
    for (int x = 0; x < kGlyphWidth; ++x) CHECK(glyph_pixel('T', x, y) == (y == 0 || x == 2));
  for (int c = 33; c < 127; ++c) {
    int set = 0;
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x) {
        set += glyph_pixel(char(c), x, y);
        CHECK(glyph_pixel('\xe4', x, y) == glyph_pixel('?', x, y));
      }
    CHECK_MESSAGE(set >= 2, char(c));
  }
  Image image = grey(60, 20, 0);
  draw_label(image, 55, 15, "T", {255, 255, 255});
  const ImageSize bar = label_size("T");
  // Moved inside: the bar ends at the corner; black letters on white.
  CHECK(at(image, 59, 19) == Color{255, 255, 255});
  CHECK(at(image, 60 - bar.width, 20 - bar.height) == Color{255, 255, 255});
  CHECK(at(image, 60 - bar.width + 2, 20 - bar.height + 2) == Color{20, 20, 20});
  CHECK(at(image, 60 - bar.width - 1, 19) == Color{0, 0, 0});
}

TEST_CASE("draw: maps are resized by their cells' centres") {
  const Tensor map = Tensor::from(std::vector<float>{0, 1}, {1, 2});
  const std::vector<float> wide = resize_map(map, {8, 2}).to_vector<float>();
  const std::vector<float> expected{0, 0, 0.125f, 0.375f, 0.625f, 0.875f, 1, 1};
  for (size_t i = 0; i < 16; ++i) CHECK(wide[i] == doctest::Approx(expected[i % 8]));
  CHECK(resize_map(map, {2, 1}).to_vector<float>() == std::vector<float>{0, 1});
  CHECK_THROWS_AS(resize_map(Tensor::zeros({2, 2, 2}), {4, 4}), Error);
}

TEST_CASE("draw: heat overlays show heat where the map is high and the picture where it is low") {
  const Tensor map = Tensor::from(std::vector<float>{0, 1}, {1, 2});
  const Image overlay = heat_overlay(grey(8, 8, 200), map);
  CHECK(at(overlay, 0, 4)[0] == at(overlay, 0, 4)[2]);
  CHECK(at(overlay, 0, 4)[0] > 90);
  CHECK(at(overlay, 7, 4)[0] > at(overlay, 7, 4)[2] + 60);
  const Image alone = heat_picture(map, {8, 8});
  CHECK(at(alone, 0, 0) == heat_color(0));
  CHECK(at(alone, 7, 7) == heat_color(1));
}

TEST_CASE("draw: mask overlays have an outline, a tint, and a dimmed ground") {
  Image mask(20, 20, 1);
  for (int y = 5; y < 15; ++y)
    for (int x = 5; x < 15; ++x) *mask.at(x, y) = 1;
  *mask.at(0, 0) = 255;
  const Image overlay = mask_overlay(grey(20, 20, 100), mask, {255, 0, 0});
  CHECK(at(overlay, 5, 10) == Color{255, 0, 0});
  CHECK(at(overlay, 10, 10)[0] > 100);
  CHECK(at(overlay, 10, 10)[0] < 255);
  CHECK(at(overlay, 18, 18)[0] < 80);
  CHECK(at(overlay, 0, 0)[0] > at(overlay, 18, 18)[0]);
  CHECK_THROWS_AS(mask_overlay(grey(21, 20, 0), mask, {0, 0, 0}), Error);
}

TEST_CASE("draw: a contact sheet holds every picture") {
  const Image sheet = contact_sheet(
      {"one", "two"}, {{"a", {grey(10, 10, 7), grey(40, 10, 9)}}, {"b", {grey(10, 20, 5)}}},
      {20, 20});
  int sevens = 0, nines = 0, fives = 0;
  for (size_t i = 0; i < sheet.pixels.size(); i += 3) {
    sevens += sheet.pixels[i] == 7;
    nines += sheet.pixels[i] == 9;
    fives += sheet.pixels[i] == 5;
  }
  CHECK(sevens == 20 * 20);
  CHECK(nines == 20 * 5);
  CHECK(fives == 10 * 20);
  CHECK_THROWS_AS(contact_sheet({"one"}, {{"a", {grey(1, 1, 0), grey(1, 1, 0)}}}, {9, 9}), Error);
}
