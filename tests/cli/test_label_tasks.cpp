#include <doctest/doctest.h>

#include <set>

#include "cli/explain.h"
#include "cli/label_paint.h"
#include "cli/label_tasks.h"
#include "cli/npy.h"
#include "datasets/voc.h"
#include "tests/cli/label_files.h"

using namespace bbam;
using namespace bbam::test;

TEST_CASE("pseudo-label: objects are drawn by their seed alone") {
  const ExplainFixture fixture;
  const Dataset dataset = read_voc(fixture.data, "val");
  const std::vector<bool> usable(dataset.classes.size() + 1, true);
  const auto drawn = [&](int64_t most, uint64_t seed) {
    std::set<std::pair<std::string, int>> objects;
    int64_t before = 0;
    for (const LabelTask& task : label_tasks(dataset, usable, most, seed)) {
      CHECK(task.objects_before == before);
      before += int64_t(task.objects.size());
      for (const int k : task.objects) CHECK(objects.insert({task.record->id, k}).second);
    }
    return objects;
  };
  const auto all = drawn(0, 0);
  CHECK(drawn(4, 1).size() == 4);
  CHECK(drawn(4, 1) == drawn(4, 1));
  CHECK(drawn(4, 1) != drawn(4, 2));
  CHECK(drawn(1000, 1) == all);
  for (const auto& object : drawn(4, 1)) CHECK(all.count(object) == 1);
  // A map does not depend on which other objects are solved.
  REQUIRE(fixture.label("all").status == 0);
  REQUIRE(fixture.label("some", {"--objects", "5", "--batch", "1"}).status == 0);
  const auto maps_of_all = files_in(fixture.folder.path("all/maps"));
  for (const auto& [name, bytes] : files_in(fixture.folder.path("some/maps"))) {
    const Tensor a = read_npy(fixture.folder.path("some/maps/" + name));
    const Tensor b = read_npy(fixture.folder.path("all/maps/" + name));
    REQUIRE(a.shape() == b.shape());
    for (int64_t i = 0; i < a.size(); ++i)
      CHECK(a.data<float>()[i] == doctest::Approx(b.data<float>()[i]).epsilon(1e-3));
  }
}

TEST_CASE("pseudo-label: crowds and unusable classes are left out, and difficult ones of a draw") {
  Dataset dataset;
  dataset.classes = {"cat", "dog"};
  Record record{.id = "1"};
  record.objects.resize(4);
  for (Object& object : record.objects) object.label = 1;
  record.objects[0].difficult = true;
  record.objects[2].crowd = true;
  record.objects[3].label = 2;
  dataset.records = {record, Record{.id = "2"}};
  const auto tasks = label_tasks(dataset, {false, true, false}, 0, 0);
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].objects == std::vector<int>{0, 1});
  const auto drawn = label_tasks(dataset, {false, true, false}, 9, 0);
  REQUIRE(drawn.size() == 1);
  CHECK(drawn[0].objects == std::vector<int>{1});
}

TEST_CASE("pseudo-label: boxes that are left out are ignored, not background") {
  Dataset dataset;
  dataset.classes = {"cat"};
  dataset.source_labels = {7};
  Record record{.id = "1", .width = 6, .height = 1};
  record.objects.resize(2);
  for (Object& object : record.objects) object.label = 1;
  record.objects[0].box = {0, 0, 3, 1};
  record.objects[1].box = {2, 0, 5, 1};
  record.objects[1].crowd = true;
  const auto mask = [](const std::vector<uint8_t>& pixels) { return Tensor::from(pixels, {1, 6}); };
  const ObjectLabel label{mask({0, 1, 1, 0, 0, 0}), mask({0, 0, 0, 0, 0, 0}), LabelSource::kMap};
  const LabelImage painted = painted_labels(dataset, {&record, {0}, 0}, {label});
  CHECK(painted.classes.to_vector<uint8_t>() == std::vector<uint8_t>{0, 7, 7, 255, 255, 0});
  CHECK(painted.objects.to_vector<uint8_t>() == std::vector<uint8_t>{0, 1, 1, 255, 255, 0});
  const LabelImage empty = painted_labels(dataset, {&record, {}, 0}, {});
  CHECK(empty.classes.to_vector<uint8_t>() == std::vector<uint8_t>{255, 255, 255, 255, 255, 0});
}

TEST_CASE("pseudo-label: the seed of an object depends on the object alone") {
  CHECK(object_seed(1, "000001", 1) == object_seed(1, "000001", 1));
  std::set<uint64_t> seeds;
  for (const uint64_t seed : {1, 2})
    for (const char* image : {"000001", "000010"})
      for (const int object : {1, 2, 10}) seeds.insert(object_seed(seed, image, object));
  CHECK(seeds.size() == 12);
}
