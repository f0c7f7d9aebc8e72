#include "cli/data_options.h"

#include <doctest/doctest.h>

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
