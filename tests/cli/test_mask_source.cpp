#include "cli/mask_source.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "cli/label_store.h"
#include "datasets/voc.h"
#include "tensor/check.h"
#include "tests/cli/explain_fixture.h"

using namespace bbam;
using bbam::test::ExplainFixture;

namespace {

// 0, 1 and 255, from the label's own runs.
std::vector<uint8_t> pixels_of(const LabelledObject& label) {
  std::vector<uint8_t> pixels = rle_decode(label.foreground).to_vector<uint8_t>();
  const auto ignored = rle_decode(label.ignore).to_vector<uint8_t>();
  for (size_t i = 0; i < pixels.size(); ++i)
    if (ignored[i] != 0) pixels[i] = kVoid;
  return pixels;
}

}  // namespace

TEST_CASE("masks to train on: filled boxes, in the map of classes the smaller in front") {
  const ExplainFixture fixture;
  Dataset dataset = read_voc(fixture.data, "val");
  set_masks(dataset, "boxes");
  for (const Record& record : dataset.records) {
    const std::vector<Image> masks = read_masks(record);
    const Image classes = read_class_map(dataset, record);
    for (int y = 0; y < record.height; ++y)
      for (int x = 0; x < record.width; ++x) {
        int label = 0;
        double least = 1e9;
        for (size_t k = 0; k < masks.size(); ++k) {
          const PixelBox& b = record.objects[k].box;
          const bool inside = x >= b.x0 && x < b.x1 && y >= b.y0 && y < b.y1;
          CHECK(*masks[k].at(x, y) == inside);
          if (inside && record.objects[k].area_px < least) {
            least = record.objects[k].area_px;
            label = record.objects[k].label;
          }
        }
        CHECK(*classes.at(x, y) == label);
      }
  }
}

TEST_CASE("masks to train on: pseudo labels, ignored where an object has none") {
  const ExplainFixture fixture;
  const std::string folder = fixture.folder.path("labels");
  REQUIRE(fixture.label("labels", {"--objects", "5"}).status == 0);
  const Dataset truth = read_voc(fixture.data, "val");
  Dataset dataset = truth;
  set_masks(dataset, folder);
  const LabelStore store(folder);
  int labelled = 0, unlabelled = 0;
  for (const Record& record : dataset.records) {
    const std::vector<Image> masks = read_masks(record);
    std::vector<bool> has_label(masks.size(), false);
    if (const auto image = store.read(record.id))
      for (const LabelledObject& label : image->objects) {
        has_label[size_t(label.object)] = true;
        CHECK(masks[size_t(label.object)].pixels == pixels_of(label));
      }
    for (size_t k = 0; k < masks.size(); ++k) {
      has_label[k] ? ++labelled : ++unlabelled;
      if (!has_label[k])
        CHECK(masks[k].pixels == std::vector<uint8_t>(masks[k].pixels.size(), 255));
    }
    // Painted only where all objects have labels.
    const std::string painted = store.path("SegmentationClass/" + record.id + ".png");
    if (std::filesystem::exists(painted))
      CHECK(read_class_map(dataset, record).pixels == read_label_png(painted).pixels);
    else
      CHECK_THROWS_AS(read_class_map(dataset, record), Error);
  }
  CHECK(labelled == 5);
  CHECK(unlabelled > 0);

  // Of another data set, and of none.
  Dataset moved = truth;
  for (Record& record : moved.records)
    for (Object& object : record.objects) object.box.x1 -= 1;
  CHECK_THROWS_WITH_AS(set_masks(moved, folder), doctest::Contains("fits no object"), Error);
  CHECK_THROWS_WITH_AS(set_masks(moved, fixture.data),
                       doctest::Contains("labels.json: no such file"), Error);
}

TEST_CASE("masks to train on: the truth is left as it is") {
  const ExplainFixture fixture;
  const Dataset truth = read_voc(fixture.data, "val");
  Dataset dataset = truth;
  set_masks(dataset, "truth");
  for (size_t i = 0; i < truth.records.size(); ++i)
    CHECK(dataset.records[i].object_map_path == truth.records[i].object_map_path);
}
