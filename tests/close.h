// Closeness relative to the expected value alone. doctest::Approx(v) forgives 1.2e-5 (1 + |v|),
// which says little of values far below 1.
#pragma once
#include <doctest/doctest.h>

namespace bbam::test {

// |found - expected| < relative max(|found|, |expected|). Of an expected 0, compare with == 0.
inline doctest::Approx close(double expected, double relative = 1e-5) {
  return doctest::Approx(expected).scale(0).epsilon(relative);
}

}  // namespace bbam::test
