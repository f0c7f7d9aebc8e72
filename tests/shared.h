// Finds the optional reference material (real photographs, ImageNet weights) beside the checkout.
// The project does not depend on it: a test that needs it calls BBAM_SKIP_WITHOUT and says so.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace bbam::test {

// $BBAM_SHARED, else ../shared; "" when the entry is not there.
inline std::string shared_path(const std::string& entry) {
  const char* root = std::getenv("BBAM_SHARED");
  const auto path = std::filesystem::path(root ? root : "../shared") / entry;
  return std::filesystem::exists(path) ? path.string() : "";
}

}  // namespace bbam::test

#define BBAM_SKIP_WITHOUT(path, what)                 \
  if ((path).empty()) {                               \
    MESSAGE("skipped: " what " is not at hand here"); \
    return;                                           \
  }
