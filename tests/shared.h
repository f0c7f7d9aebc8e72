// Finds the optional reference material (real photographs, ImageNet weights) beside the checkout.
// The project does not depend on it: a test that needs it calls BBAM_SKIP_WITHOUT and says so. The
// runner counts such test cases; BBAM_REQUIRE_SHARED=1 in the environment makes them fail.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace bbam::test {

// $BBAM_SHARED, else ../shared; "" when the entry is not there.
inline std::string shared_path(const std::string& entry) {
  const char* root = std::getenv("BBAM_SHARED");
  const auto path = std::filesystem::path(root ? root : "../shared") / entry;
  return std::filesystem::exists(path) ? path.string() : "";
}

// Test cases that ended early for want of what they need.
inline int skipped_test_cases = 0;

inline bool is_shared_required() {
  const char* text = std::getenv("BBAM_REQUIRE_SHARED");
  return text && std::string_view(text) == "1";
}

}  // namespace bbam::test

#define BBAM_SKIP_WITHOUT(path, what)                                                         \
  if ((path).empty()) {                                                                       \
    if (::bbam::test::is_shared_required()) FAIL("BBAM_REQUIRE_SHARED: " what " is missing"); \
    MESSAGE("skipped: " what " is not at hand here");                                         \
    ++::bbam::test::skipped_test_cases;                                                       \
    return;                                                                                   \
  }
