#include "tensor/profile.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/allocator.h"
#include "tensor/check.h"
#include "tensor/tensor.h"
#include "tests/temp_folder.h"

using namespace bbam;

TEST_CASE("profile: calls, operations and bytes by label; nothing when it is off") {
  { const ProfileScope before("before", Stream{}, 1000, 1); }
  profile::start();
  { const ProfileScope scope("matrix", Stream{}, 7, 11); }
  { const ProfileScope scope("matrix", Stream{}, 5, 13); }
  { const ProfileScope scope("vector", Stream{}, 1, 2); }
  profile::stop();
  { const ProfileScope after("after", Stream{}, 1000, 1); }
  CHECK(profile::flops() == 13);
  const std::string table = profile::table();
  CHECK(table.find("matrix") != std::string::npos);
  CHECK(table.find("outside any label") != std::string::npos);
  CHECK(table.find("before") == std::string::npos);
  CHECK(table.find("after") == std::string::npos);
}

TEST_CASE("profile: the trace is JSON with an event for each call") {
  const test::TempFolder folder;
  profile::start();
  { const ProfileScope scope("matrix", Stream{}, 7, 11); }
  profile::stop();
  const std::string path = folder.path("trace.json");
  profile::write_trace(path);
  std::ifstream file(path);
  const auto events = nlohmann::json::parse(file)["traceEvents"];
  REQUIRE(events.size() == 1);
  CHECK(events[0]["name"] == "matrix");
  CHECK(events[0]["args"]["flops"] == 7);
  CHECK_THROWS_WITH_AS(profile::write_trace("/nowhere/trace.json"),
                       doctest::Contains("/nowhere/trace.json"), Error);
}

TEST_CASE("profile: the table ends with the peak of memory since the start") {
  { const Tensor before = Tensor::zeros({64 << 18}); }  // 64 MiB
  profile::start();
  const int64_t in_use = memory_stats(kCpu).peak_bytes;
  { const Tensor tensor = Tensor::zeros({8 << 18}); }
  profile::stop();
  const int64_t peak = memory_stats(kCpu).peak_bytes;
  CHECK(peak - in_use >= 8 << 20);
  CHECK(peak - in_use < 9 << 20);  // guards of the audit
  const std::string expected = fmt::format("memory on cpu: {:.1f} MiB", double(peak) / (1 << 20));
  CHECK(profile::table().find(expected) != std::string::npos);
}
