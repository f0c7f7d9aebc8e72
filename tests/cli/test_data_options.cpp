#include "cli/data_options.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/cli/explain_fixture.h"

using namespace bbam;
using bbam::test::ExplainFixture;
using bbam::test::is_error;

TEST_CASE("data options: noisy boxes are grown or shrunk about their middles, within the picture") {
  const ExplainFixture fixture;
  std::ostringstream out, err;
  Session session{out, err, false};
  DataOptions options;
  options.data = fixture.data;
  const Dataset exact = open_dataset(options, session);
  for (const double noise : {-0.2, 0.15, 10.0}) {
    DataOptions noisy = options;
    noisy.box_noise = noise;
    const Dataset dataset = open_dataset(noisy, session);
    for (size_t i = 0; i < exact.records.size(); ++i)
      for (size_t k = 0; k < exact.records[i].objects.size(); ++k) {
        const PixelBox before = exact.records[i].objects[k].box;
        const PixelBox after = dataset.records[i].objects[k].box;
        const double width = before.x1 - before.x0, middle = (before.y0 + before.y1) / 2.0;
        const double height = (1 + noise) * (before.y1 - before.y0);
        CHECK(after.x0 == doctest::Approx(std::max(0.0, before.x0 - noise * width / 2)));
        CHECK(after.x1 == doctest::Approx(std::min(72.0, before.x1 + noise * width / 2)));
        CHECK(after.y0 == doctest::Approx(std::max(0.0, middle - height / 2)));
        CHECK(after.y1 == doctest::Approx(std::min(48.0, middle + height / 2)));
      }
  }
  CHECK(is_error(fixture.label("o", {"--box-noise", "-1"}), "--box-noise"));
}

TEST_CASE("data options: a draw of pictures hangs on its seed alone, and keeps their order") {
  const ExplainFixture fixture;
  std::ostringstream out, err;
  Session session{out, err, false};
  const auto ids = [&](int64_t pictures, uint64_t seed) {
    DataOptions options;
    options.data = fixture.data;
    options.pictures = pictures;
    options.pictures_seed = seed;
    std::vector<std::string> names;
    for (const Record& record : open_dataset(options, session).records) names.push_back(record.id);
    return names;
  };
  const std::vector<std::string> all = ids(0, 1);
  REQUIRE(all.size() == 4);
  CHECK(ids(9, 1) == all);
  std::set<std::vector<std::string>> draws;
  for (uint64_t seed = 1; seed < 9; ++seed) {
    const std::vector<std::string> two = ids(2, seed);
    CHECK(two.size() == 2);
    CHECK(two == ids(2, seed));
    CHECK(std::includes(all.begin(), all.end(), two.begin(), two.end()));
    draws.insert(two);
  }
  CHECK(draws.size() > 1);
  // Pictures without an object of the classes are not drawn.
  DataOptions options;
  options.data = fixture.data;
  options.classes = {"ring"};
  options.pictures = 4;
  for (const Record& record : open_dataset(options, session).records)
    CHECK(!record.objects.empty());
}
