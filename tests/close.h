// Comparison by relative error alone. By itself doctest::Approx adds 1 to the size of what it
// compares: below 1 its epsilon is an absolute error, which for an expected 1e-7 accepts anything.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace bbam::test {

// |found - expected| < relative max(|found|, |expected|). Of an expected 0, compare with == 0.
inline doctest::Approx close(double expected, double relative = 1e-5) {
  return doctest::Approx(expected).scale(0).epsilon(relative);
}

// |a - b| <= relative max(|a|, |b|): a 0 is close to 0 alone, a NaN to nothing.
inline bool close(double a, double b, double relative) {
  return a == b || std::abs(a - b) <= relative * std::max(std::abs(a), std::abs(b));
}

// For elements of a tensor, whose rounding errors are those of its largest elements:
// |a - b| <= relative max(|a|, |b|, size).
inline bool close(double a, double b, double relative, double size) {
  return a == b || std::abs(a - b) <= relative * std::max({std::abs(a), std::abs(b), size});
}

}  // namespace bbam::test
