#include "datasets/crop_loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/random.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

// Random pictures and class maps in the files' own numbers: 7 and 3 for the classes 1 and 2.
struct Pictures {
  test::TempFolder folder;
  Dataset dataset;
  std::vector<Image> pictures, maps;  // maps with the labels 0, 1, 2 and void

  explicit Pictures(int count) {
    dataset.classes = {"seven", "three"};
    dataset.source_labels = {7, 3};
    for (int i = 0; i < count; ++i)
      add(i, i % 3 == 0 ? ImageSize{24, 36} : ImageSize{41, 30 + i % 5});
  }

  void add(int i, ImageSize size) {
    Record record{.id = std::to_string(i),
                  .image_path = folder.path(std::to_string(i) + ".png"),
                  .width = size.width,
                  .height = size.height,
                  .class_map_path = folder.path("class" + std::to_string(i) + ".png")};
    const Random random(uint64_t(i) + 1);
    Image picture(size.width, size.height, 3), map(size.width, size.height, 1), in_file = map;
    for (size_t k = 0; k < picture.pixels.size(); ++k)
      picture.pixels[k] = uint8_t(random.below(k, 256));
    for (size_t k = 0; k < map.pixels.size(); ++k) {
      const int64_t choice = random.below(picture.pixels.size() + k, 4);
      map.pixels[k] = choice == 3 ? kVoid : uint8_t(choice);
      in_file.pixels[k] = std::array<uint8_t, 4>{0, 7, 3, kVoid}[size_t(choice)];
    }
    write_png(record.image_path, picture);
    write_label_png(record.class_map_path, in_file);
    dataset.records.push_back(record);
    pictures.push_back(picture);
    maps.push_back(map);
  }
};

CropLoaderOptions small_options() { return {.batch_size = 3, .crop_px = 33, .seed = 11}; }

// Every byte of a batch.
std::vector<double> contents(const CropBatch& batch) {
  std::vector<double> all{double(batch.step)};
  const auto add = [&](const auto& values) { all.insert(all.end(), values.begin(), values.end()); };
  add(batch.images.shape().to_vector());
  add(batch.images.to_vector<float>());
  add(batch.labels.to_vector<uint8_t>());
  add(batch.records);
  for (const Crop& crop : batch.crops)
    add(std::vector<int>{crop.scaled.width, crop.scaled.height, crop.left, crop.top, crop.flipped});
  return all;
}

}  // namespace

TEST_CASE(
    "crop loader: METHOD B5, crop 321, batches of 5, scales 0.5 to 1.5, flips, DeepLab's mean") {
  const CropLoaderOptions options;
  CHECK(options.batch_size == 5);
  CHECK(options.crop_px == 321);
  CHECK(options.scales == std::vector<double>{0.5, 0.75, 1, 1.25, 1.5});
  CHECK(options.flip_probability == 0.5);
  CHECK(options.mean.blue == kDeepLabMean.blue);
  const Pictures pictures(2);
  CropLoader loader(pictures.dataset);
  const CropBatch batch = loader.next();
  CHECK(batch.images.shape() == Shape{2, 321, 321, 3});
  CHECK(batch.labels.shape() == Shape{2, 321, 321});
}

TEST_CASE("crop loader: workers and the step of the start change nothing") {
  const Pictures pictures(10);
  CropLoaderOptions options = small_options();
  options.workers = 0;
  CropLoader alone(pictures.dataset, options);
  std::vector<std::vector<double>> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(contents(alone.next()));
  for (int workers : {1, 3}) {
    options.workers = workers;
    options.batches_ahead = 2 * workers;
    CropLoader loader(pictures.dataset, options);
    for (int i = 0; i < 12; ++i) CHECK(contents(loader.next()) == expected[size_t(i)]);
  }
  CropLoader resumed(pictures.dataset, options, 7);
  for (int i = 7; i < 12; ++i) CHECK(contents(resumed.next()) == expected[size_t(i)]);
  options.seed = 12;
  CropLoader other(pictures.dataset, options);
  CHECK(contents(other.next()) != expected[0]);
}

TEST_CASE("crop loader: epochs are complete, in another order each, and cropped anew") {
  const Pictures pictures(10);
  CropLoader loader(pictures.dataset, small_options());
  CHECK(loader.batches_per_epoch() == 4);
  std::vector<std::vector<size_t>> orders;
  std::vector<Crop> crops_of_first;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<size_t> order;
    for (int i = 0; i < 4; ++i) {
      const CropBatch batch = loader.next();
      CHECK(batch.records.size() == (i < 3 ? 3 : 1));
      order.insert(order.end(), batch.records.begin(), batch.records.end());
      const auto first = std::find(batch.records.begin(), batch.records.end(), size_t(0));
      if (first != batch.records.end())
        crops_of_first.push_back(batch.crops[size_t(first - batch.records.begin())]);
    }
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < 10; ++i) CHECK(order.at(i) == i);
  }
  CHECK(orders[0] != orders[1]);
  CHECK(orders[1] != orders[2]);
  REQUIRE(crops_of_first.size() == 3);
  CHECK_FALSE(crops_of_first[0] == crops_of_first[1]);
}

TEST_CASE("crop loader: METHOD B5, pixels and labels of a crop are those of the scaled picture") {
  const Pictures pictures(8);
  const CropLoaderOptions options = small_options();
  CropLoader loader(pictures.dataset, options);
  const float mean[3]{options.mean.blue, options.mean.green, options.mean.red};
  int flips = 0, padded = 0, shifted = 0;
  for (int step = 0; step < 12; ++step) {
    const CropBatch batch = loader.next();
    const auto values = batch.images.to_vector<float>();
    const auto labels = batch.labels.to_vector<uint8_t>();
    for (size_t n = 0; n < batch.records.size(); ++n) {
      const size_t index = batch.records[n];
      const Crop& crop = batch.crops[n];
      const Image picture = resize_bilinear(pictures.pictures[index], crop.scaled);
      const Image map = resize_nearest(pictures.maps[index], crop.scaled);
      int wrong = 0;
      for (int y = 0; y < 33; ++y)
        for (int x = 0; x < 33; ++x) {
          const size_t at = (n * 33 + size_t(y)) * 33 + size_t(x);
          const int column = crop.left + (crop.flipped ? 32 - x : x), row = crop.top + y;
          const bool inside = column < crop.scaled.width && row < crop.scaled.height;
          padded += !inside;
          for (int c = 0; c < 3; ++c)
            wrong += values[3 * at + size_t(c)] !=
                     (inside ? float(picture.at(column, row)[2 - c]) - mean[c] : 0.f);
          wrong += labels[at] != (inside ? *map.at(column, row) : kVoid);
        }
      CHECK(wrong == 0);
      flips += crop.flipped;
      shifted += crop.left > 0 && crop.top > 0;
      // The crop lies on the picture, or begins where a smaller one does.
      CHECK(crop.left <= std::max(0, crop.scaled.width - 33));
      CHECK(crop.top <= std::max(0, crop.scaled.height - 33));
    }
  }
  CHECK(flips > 0);
  CHECK(padded > 0);
  CHECK(shifted > 0);
}

TEST_CASE("crop loader: METHOD B5, scales, places and flips are drawn evenly") {
  const Pictures pictures(4);
  CropLoader loader(pictures.dataset, small_options());
  int flips = 0, count = 0;
  std::map<int, int> widths, lefts;  // of the pictures 41 pixels wide
  while (count < 600) {
    const CropBatch batch = loader.next();
    for (size_t n = 0; n < batch.records.size(); ++n) {
      if (batch.records[n] % 3 == 0) continue;
      const Crop& crop = batch.crops[n];
      ++count;
      flips += crop.flipped;
      ++widths[crop.scaled.width];
      if (crop.scaled.width == 41) ++lefts[crop.left];
    }
  }
  CHECK(std::abs(flips - count / 2) < 62);  // 5 standard deviations
  REQUIRE(widths.size() == 5);
  for (const int width : {20, 30, 41, 51, 61}) CHECK(std::abs(widths[width] - count / 5) < 50);
  CHECK(lefts.size() == 9);  // 0 to 8
}

TEST_CASE("crop loader: bad pictures and class maps are told once, left out, and counted") {
  Pictures pictures(6);
  const auto map_path = [&](int i) { return pictures.dataset.records[size_t(i)].class_map_path; };
  write_file(pictures.dataset.records[1].image_path, "no picture");
  std::filesystem::remove(map_path(2));
  write_label_png(map_path(4), Image(7, 7, 1));
  CropLoader loader(pictures.dataset, small_options());
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<size_t> seen;
    while (seen.size() < 3) {
      const CropBatch batch = loader.next();
      CHECK(batch.images.dim(0) == int64_t(batch.records.size()));
      CHECK(batch.labels.dim(0) == int64_t(batch.records.size()));
      seen.insert(seen.end(), batch.records.begin(), batch.records.end());
    }
    std::sort(seen.begin(), seen.end());
    CHECK(seen == std::vector<size_t>{0, 3, 5});
  }
  REQUIRE(loader.problems().size() == 3);
  std::vector<std::string> problems = loader.problems();
  std::sort(problems.begin(), problems.end());
  const auto says = [&](const char* text) {
    return std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) {
      return problem.find(text) != std::string::npos;
    });
  };
  CHECK(says("1.png: is neither a JPEG nor a PNG picture"));
  CHECK(says("class2.png"));
  CHECK(says("class4.png: is 7 x 7 pixels; its picture is 41 x 34"));

  for (const Record& record : pictures.dataset.records)
    write_label_png(record.class_map_path, Image(7, 7, 1));
  CropLoader nothing(pictures.dataset, small_options());
  CHECK_THROWS_WITH_AS(nothing.next(), doctest::Contains("not one picture of a whole epoch"),
                       Error);
  CHECK_FALSE(nothing.problems().empty());
}

TEST_CASE("crop loader: wrong options") {
  const Pictures pictures(1);
  const auto make = [&](const CropLoaderOptions& options) {
    CropLoader(pictures.dataset, options);
  };
  CHECK_THROWS_AS(make({.batch_size = 0}), Error);
  CHECK_THROWS_AS(make({.crop_px = 0}), Error);
  CHECK_THROWS_AS(make({.scales = {}}), Error);
  CHECK_THROWS_AS(make({.scales = {1, 0}}), Error);
  CHECK_THROWS_AS(make({.scales = {NAN}}), Error);
  CHECK_THROWS_AS(make({.flip_probability = 1.5}), Error);
  CHECK_THROWS_AS(make({.workers = -1}), Error);
  CHECK_THROWS_AS(CropLoader(pictures.dataset, {}, -1), Error);
  const Dataset empty;
  CHECK_THROWS_AS(CropLoader{empty}, Error);
}
