#include "tensor/random.h"

#include <cmath>
#include <numbers>

namespace bbam {

// 1 - u0 lies in (0, 1], which keeps the logarithm finite.
double normal_from(double u0, double u1) {
  return std::sqrt(-2 * std::log(1 - u0)) * std::cos(2 * std::numbers::pi * u1);
}

}  // namespace bbam
