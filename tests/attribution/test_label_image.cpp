#include "attribution/label_image.h"

#include <doctest/doctest.h>

using namespace bbam;

namespace {

// A row of 8 pixels; '#' is foreground, '?' the ignored band.
PaintedObject object(const std::string& row, BoxArray box, int64_t label) {
  std::vector<uint8_t> foreground, ignore;
  for (const char c : row) {
    foreground.push_back(c == '#');
    ignore.push_back(c == '?');
  }
  return {Tensor::from(foreground, {1, 8}), Tensor::from(ignore, {1, 8}), box, label};
}

using Row = std::vector<uint8_t>;

}  // namespace

TEST_CASE("label image: METHOD A10, pixels of two classes are ignored") {
  const LabelImage image = paint_labels(
      {object("####....", {0, 0, 5, 1}, 3), object("..####..", {2, 0, 6, 1}, 7)}, 1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{3, 3, 255, 255, 7, 7, 0, 0});
  CHECK(image.objects.to_vector<uint8_t>() == Row{1, 1, 255, 255, 2, 2, 0, 0});
}

TEST_CASE(
    "label image: METHOD A10, a box wholly inside another wins, in whatever order they come") {
  const PaintedObject outer = object("########", {0, 0, 8, 1}, 3),
                      inner = object("..##....", {2, 0, 4, 1}, 7);
  CHECK(paint_labels({outer, inner}, 1, 8).classes.to_vector<uint8_t>() ==
        Row{3, 3, 7, 7, 3, 3, 3, 3});
  CHECK(paint_labels({inner, outer}, 1, 8).classes.to_vector<uint8_t>() ==
        Row{3, 3, 7, 7, 3, 3, 3, 3});
}

TEST_CASE("label image: METHOD A10, larger boxes of the same class are painted first") {
  const LabelImage image = paint_labels(
      {object("..####..", {2, 0, 6, 1}, 3), object("#####...", {0, 0, 5, 1}, 3)}, 1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{3, 3, 3, 3, 3, 3, 0, 0});
  CHECK(image.objects.to_vector<uint8_t>() == Row{2, 2, 1, 1, 1, 1, 0, 0});
}

TEST_CASE("label image: METHOD A10, ignored bands are 255, over other objects too") {
  const LabelImage image = paint_labels(
      {object("##??....", {0, 0, 4, 1}, 3), object("...##?..", {3, 0, 6, 1}, 7)}, 1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{3, 3, 255, 255, 7, 255, 0, 0});
}

TEST_CASE("label image: a third class does not settle a conflict") {
  const LabelImage image =
      paint_labels({object("########", {0, 0, 8, 1}, 1), object(".#######", {1, 0, 9, 1}, 2),
                    object("..######", {2, 0, 9, 1}, 3)},
                   1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{1, 255, 255, 255, 255, 255, 255, 255});
}

TEST_CASE("label image: METHOD A10, the innermost of three wins over a conflict of the outer two") {
  const LabelImage image =
      paint_labels({object("######..", {0, 0, 6, 1}, 1), object("..######", {2, 0, 8, 1}, 2),
                    object("...##...", {3, 0, 5, 1}, 3)},
                   1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{1, 1, 255, 3, 3, 255, 2, 2});
}

TEST_CASE("label image: METHOD A10, an object between two of a class does not end their conflict") {
  // Pixel 4 belongs to all three; the box of the last is inside that of the second alone.
  const LabelImage image =
      paint_labels({object("#####...", {0, 0, 6, 1}, 1), object("...#####", {3, 0, 8, 1}, 1),
                    object("....###.", {4, 0, 7, 1}, 2)},
                   1, 8);
  CHECK(image.classes.to_vector<uint8_t>() == Row{1, 1, 1, 1, 255, 2, 2, 1});
}

TEST_CASE("label image: no objects, and classes that cannot be painted") {
  CHECK(paint_labels({}, 1, 8).classes.to_vector<uint8_t>() == Row(8, 0));
  CHECK_THROWS_AS(paint_labels({object("#.......", {0, 0, 1, 1}, 255)}, 1, 8), Error);
  CHECK_THROWS_AS(paint_labels({object("#.......", {0, 0, 1, 1}, 1)}, 2, 8), Error);
}
