// Scalar functions that kernels may call on either device. std::max and friends are not marked for
// the device, hence these.
#pragma once
#include <cmath>
#include <cstdint>

#include "tensor/device.h"

namespace bbam {

template <class T>
HD T max_(T a, T b) {
  return a > b ? a : b;
}
template <class T>
HD T min_(T a, T b) {
  return a < b ? a : b;
}
template <class T>
HD T clamp_(T x, T low, T high) {
  return min_(max_(x, low), high);
}
template <class T>
HD T abs_(T x) {
  return x < T(0) ? -x : x;
}
template <class T>
HD T sign_(T x) {
  return T((x > T(0)) - (x < T(0)));
}
// Stable for both signs.
template <class T>
HD T sigmoid_(T x) {
  if (x >= T(0)) return T(1) / (T(1) + std::exp(-x));
  const T e = std::exp(x);
  return e / (T(1) + e);
}

// Operations for Block::reduce.
struct Plus {
  template <class T>
  HD T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  HD T operator()(T a, T b) const {
    return max_(a, b);
  }
};

}  // namespace bbam
