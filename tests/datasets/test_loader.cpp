#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

#include "datasets/loader.h"
#include "datasets/prefetcher.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

// Pictures of both aspects, each with one object whose colour and mask fill its box.
struct Pictures {
  test::TempFolder folder;
  Dataset dataset;

  explicit Pictures(int count) {
    dataset.classes = {"red"};
    for (int i = 0; i < count; ++i) add(i, i % 3 == 0 ? ImageSize{24, 36} : ImageSize{40, 30});
  }

  void add(int i, ImageSize size) {
    Record record{.id = std::to_string(i),
                  .image_path = folder.path(std::to_string(i) + ".png"),
                  .width = size.width,
                  .height = size.height,
                  .object_map_path = folder.path("map" + std::to_string(i) + ".png")};
    record.objects.push_back({.box = {4, 6, 14, 18}, .label = 1, .difficult = true, .id = 3});
    record.objects.push_back({.box = {float(2 + i % 5), 8, 12, 20}, .label = 1, .id = 1});
    Image image(size.width, size.height, 3), map(size.width, size.height, 1);
    const PixelBox box = record.objects[1].box;
    for (int y = 0; y < size.height; ++y)
      for (int x = 0; x < size.width; ++x) {
        const bool inside = x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1;
        image.at(x, y)[0] = inside ? 255 : uint8_t(10 * i);
        map.at(x, y)[0] = inside;
      }
    write_png(record.image_path, image);
    write_label_png(record.object_map_path, map);
    dataset.records.push_back(record);
  }
};

LoaderOptions small_training() {
  LoaderOptions options = training_loader_options();
  options.batch_size = 3;
  options.short_sides = {30, 45, 60};
  options.long_side = 100;
  options.seed = 11;
  options.with_masks = true;
  return options;
}

// Every byte of a batch.
std::vector<double> contents(const Batch& batch) {
  std::vector<double> all{double(batch.step)};
  const auto add = [&](const auto& values) { all.insert(all.end(), values.begin(), values.end()); };
  add(batch.images.shape().to_vector());
  add(batch.images.to_vector<float>());
  for (size_t n = 0; n < batch.sizes.size(); ++n) {
    add(std::vector<double>{double(batch.sizes[n].width), double(batch.sizes[n].height),
                            double(batch.records[n]), double(batch.flipped[n])});
    add(batch.boxes[n].to_vector<float>());
    add(batch.labels[n].to_vector<int64_t>());
    add(batch.objects[n]);
    if (!batch.masks.empty()) add(batch.masks[n].to_vector<uint8_t>());
  }
  return all;
}

}  // namespace

TEST_CASE("loader: the defaults give each picture once, in order") {
  const Pictures pictures(5);
  Loader loader(pictures.dataset, {.batch_size = 2, .short_sides = {30}, .long_side = 60});
  CHECK(loader.batches_per_epoch() == 3);
  std::vector<size_t> seen;
  for (int i = 0; i < 3; ++i) {
    const Batch batch = loader.next();
    CHECK(batch.step == i);
    seen.insert(seen.end(), batch.records.begin(), batch.records.end());
    for (bool flipped : batch.flipped) CHECK_FALSE(flipped);
    CHECK(batch.boxes[0].shape() == Shape{2, 4});  // the difficult one too
    CHECK(batch.masks.empty());
  }
  CHECK(seen == std::vector<size_t>{0, 1, 2, 3, 4});
  CHECK(loader.next().records == std::vector<size_t>{0, 1});
}

TEST_CASE("loader: workers and the step of the start change nothing") {
  const Pictures pictures(10);
  LoaderOptions options = small_training();
  options.workers = 0;
  Loader alone(pictures.dataset, options);
  std::vector<std::vector<double>> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(contents(alone.next()));
  for (int workers : {1, 3}) {
    options.workers = workers;
    options.batches_ahead = 2 * workers;
    Loader loader(pictures.dataset, options);
    for (int i = 0; i < 12; ++i) CHECK(contents(loader.next()) == expected[size_t(i)]);
  }
  Loader resumed(pictures.dataset, options, 7);
  for (int i = 7; i < 12; ++i) CHECK(contents(resumed.next()) == expected[size_t(i)]);
  options.seed = 12;
  Loader other(pictures.dataset, options);
  CHECK(contents(other.next()) != expected[0]);
}

TEST_CASE("loader: epochs are shuffled, complete, and grouped by aspect") {
  const Pictures pictures(10);
  Loader loader(pictures.dataset, small_training());
  CHECK(loader.batches_per_epoch() == 4);  // 6 wide in 2, 4 tall in 2
  std::vector<std::vector<size_t>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<size_t> order;
    for (int i = 0; i < 4; ++i) {
      const Batch batch = loader.next();
      for (size_t index : batch.records) CHECK((index % 3 == 0) == (batch.records[0] % 3 == 0));
      order.insert(order.end(), batch.records.begin(), batch.records.end());
    }
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < 10; ++i) CHECK(order.at(i) == i);
  }
  CHECK(orders[0] != orders[1]);
  CHECK(orders[1] != orders[2]);
}

TEST_CASE("loader: METHOD B1 flips half of the pictures and draws the short side evenly") {
  const Pictures pictures(4);
  const LoaderOptions training = training_loader_options();
  CHECK(training.flip_probability == 0.5);
  CHECK(training.shuffle);
  CHECK(training.group_by_aspect);
  LoaderOptions options = small_training();
  options.with_masks = false;
  Loader loader(pictures.dataset, options);
  int flips = 0, count = 0;
  std::map<int, int> short_sides;
  while (count < 400) {
    const Batch batch = loader.next();
    for (size_t n = 0; n < batch.sizes.size(); ++n, ++count) {
      flips += batch.flipped[n];
      ++short_sides[std::min(batch.sizes[n].width, batch.sizes[n].height)];
    }
  }
  CHECK(std::abs(flips - count / 2) < 50);  // 5 standard deviations
  CHECK(short_sides.size() == 3);
  for (const auto& [side, times] : short_sides) CHECK(std::abs(times - count / 3) < 50);
}

TEST_CASE("loader: boxes and masks follow the pixels through resize, flip and padding") {
  const Pictures pictures(8);
  LoaderOptions options = small_training();
  options.divisibility = 32;
  Loader loader(pictures.dataset, options);
  int flips = 0;
  for (int step = 0; step < 12; ++step) {
    const Batch batch = loader.next();
    CHECK(batch.images.dim(1) % 32 == 0);
    CHECK(batch.images.dim(2) % 32 == 0);
    const auto pixels = batch.images.to_vector<float>();
    for (size_t n = 0; n < batch.sizes.size(); ++n) {
      flips += batch.flipped[n];
      REQUIRE(batch.boxes[n].shape() == Shape{1, 4});  // the difficult one is left out
      CHECK(batch.objects[n] == std::vector<int>{1});
      CHECK(batch.labels[n].to_vector<int64_t>() == std::vector<int64_t>{1});
      const auto box = batch.boxes[n].to_vector<float>();
      const auto mask = batch.masks[n].to_vector<uint8_t>();
      const auto [width, height] = batch.sizes[n];
      int wrong = 0;
      for (int y = 0; y < batch.images.dim(1); ++y)
        for (int x = 0; x < batch.images.dim(2); ++x) {
          const float* bgr = &pixels[size_t(
              ((int64_t(n) * batch.images.dim(1) + y) * batch.images.dim(2) + x) * 3)];
          if (x >= width || y >= height) {
            wrong += bgr[0] != 0 || bgr[1] != 0 || bgr[2] != 0;
            continue;
          }
          // Away from the box's edge, where the resize blends, red says inside or outside.
          const float edge = std::max(
              {box[0] - (x + 0.5f), (x + 0.5f) - box[2], box[1] - (y + 0.5f), (y + 0.5f) - box[3]});
          if (std::abs(edge) < 2.5f) continue;
          const bool red = bgr[2] + options.mean.red > 200;
          wrong += red != (edge < 0) || (mask[size_t(y * width + x)] == 1) != (edge < 0);
        }
      CHECK(wrong == 0);
    }
  }
  CHECK(flips > 0);
}

TEST_CASE("loader: bad pictures are told once, left out, and counted") {
  Pictures pictures(6);
  write_file(pictures.dataset.records[1].image_path, "no picture");
  write_png(pictures.dataset.records[4].image_path, Image(7, 7, 3));
  LoaderOptions options{.batch_size = 2, .short_sides = {30}, .long_side = 60};
  Loader loader(pictures.dataset, options);
  for (int epoch = 0; epoch < 2; ++epoch) {
    CHECK(loader.next().records == std::vector<size_t>{0});
    CHECK(loader.next().records == std::vector<size_t>{2, 3});
    CHECK(loader.next().records == std::vector<size_t>{5});
  }
  REQUIRE(loader.problems().size() == 2);
  CHECK(doctest::String(loader.problems()[0].c_str()) ==
        doctest::Contains("1.png: is neither a JPEG nor a PNG picture"));
  CHECK(doctest::String(loader.problems()[1].c_str()) ==
        doctest::Contains("4.png: is 7 x 7 pixels; its annotation says 40 x 30"));

  // A step with nothing left is skipped; its number is not used again.
  options.batch_size = 1;
  Loader single(pictures.dataset, options);
  CHECK(single.next().step == 0);
  CHECK(single.next().step == 2);

  for (Record& record : pictures.dataset.records) write_file(record.image_path, "no picture");
  Loader nothing(pictures.dataset, options);
  CHECK_THROWS_WITH_AS(nothing.next(), doctest::Contains("not one picture of a whole epoch"),
                       Error);
}

TEST_CASE("loader: pictures without objects, and wrong options") {
  Pictures pictures(2);
  pictures.dataset.records[0].objects.clear();
  LoaderOptions options{.short_sides = {30}, .with_masks = true};
  Loader loader(pictures.dataset, options);
  const Batch batch = loader.next();
  CHECK(batch.boxes[0].shape() == Shape{0, 4});
  CHECK(batch.labels[0].shape() == Shape{0});
  CHECK(batch.masks[0].shape() == Shape{0, 45, 30});

  CHECK_THROWS_AS(Loader(Dataset(), options), Error);
  CHECK_THROWS_AS(Loader(pictures.dataset, {.batch_size = 0}), Error);
  CHECK_THROWS_AS(Loader(pictures.dataset, {.short_sides = {}}), Error);
  CHECK_THROWS_AS(Loader(pictures.dataset, {.flip_probability = 1.5}), Error);
  CHECK_THROWS_AS(Loader(pictures.dataset, options, -1), Error);
}

TEST_CASE("prefetcher: values in order, exceptions at their place, never too far ahead") {
  std::atomic<int64_t> made = 0;
  std::atomic<bool> too_far = false;
  std::atomic<int64_t> given = 5;
  {
    Prefetcher<int64_t> prefetcher(
        [&](int64_t i) {
          if (i >= given + 1 + 4) too_far = true;  // given is raised only after next() returns
          ++made;
          if (i == 8) fail("eight");
          return 10 * i;
        },
        5, 3, 4);
    for (int64_t i = 5; i < 20; ++i, ++given) {
      if (i == 8)
        CHECK_THROWS_WITH_AS(prefetcher.next(), "eight", Error);
      else
        CHECK(prefetcher.next() == 10 * i);
    }
  }
  CHECK(made >= 15);
  CHECK(made <= 19);
  CHECK_FALSE(too_far);
}
