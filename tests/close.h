// Comparison by relative error alone. By itself doctest::Approx adds 1 to the size of what it
// compares: below 1 its epsilon is an absolute error, which for an expected 1e-7 accepts anything.
#pragma once
#include <doctest/doctest.h>

namespace bbam::test {

// CHECK(value == close_to(expected, relative)): |value - expected| < relative (max(|value|,
// |expected|) + size). Only 0 is close to 0, and nothing to NaN. `size` is for elements of a tensor
// whose rounding errors are those of larger terms; it stays above 0 so that 0 equals 0.
inline doctest::Approx close_to(double expected, double relative = 1e-5, double size = 1e-300) {
  return doctest::Approx(expected).epsilon(relative).scale(size);
}

}  // namespace bbam::test
