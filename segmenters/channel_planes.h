// How the values of many channels are stored for lattice filtering: in planes of 8 neighbouring
// channels and one narrower plane for the rest.
//
// A plane of N points is an array (N, width), so that one vector instruction handles a point. The
// lattice filters plane after plane: the values of one plane fit in a cache where those of all
// channels would not.
#pragma once
#include <cstdint>
#include <type_traits>

#include "tensor/check.h"
#include "tensor/device.h"

namespace bbam {

inline constexpr int kPlaneWidth = 8;

struct ChannelPlanes {
  int64_t points;
  int channels;

  // The last plane has 1, 2, 4 or 8 channels; those that are not needed hold zeros where channels
  // are summed over (labels), and else values that nobody reads.
  HD static int tail_width(int channels) {
    const int rest = channels % kPlaneWidth;
    return rest == 0 ? kPlaneWidth : rest > 4 ? 8 : rest > 2 ? 4 : rest;
  }
  HD int count() const { return (channels + kPlaneWidth - 1) / kPlaneWidth; }
  HD int width(int plane) const { return plane + 1 < count() ? kPlaneWidth : tail_width(channels); }
  HD int padded_channels() const {
    return channels == 0 ? 0 : (count() - 1) * kPlaneWidth + width(count() - 1);
  }
  HD int64_t offset(int plane) const { return int64_t(plane) * kPlaneWidth * points; }
  HD int64_t size() const { return padded_channels() * points; }
  HD int64_t at(int64_t point, int channel) const {
    const int plane = channel / kPlaneWidth;
    return offset(plane) + point * width(plane) + channel % kPlaneWidth;
  }
};

// The channels of one point in one plane. Loops over a fixed width inside a function that takes
// and returns Rows by value are what g++ turns into vector instructions.
template <int W>
struct alignas(4 * W) Row {
  float x[W];

  // In halves, not one after the other: fewer steps wait for each other.
  HD float sum() const {
    Row y = *this;
    for (int half = W / 2; half > 0; half /= 2)
      for (int c = 0; c < half; ++c) y.x[c] += y.x[c + half];
    return y.x[0];
  }
  HD float max() const {
    Row y = *this;
    for (int half = W / 2; half > 0; half /= 2)
      for (int c = 0; c < half; ++c) y.x[c] = y.x[c] > y.x[c + half] ? y.x[c] : y.x[c + half];
    return y.x[0];
  }
};

template <int W>
HD inline Row<W> zero_row() {
  Row<W> y;
  for (int c = 0; c < W; ++c) y.x[c] = 0.f;
  return y;
}
template <int W>
HD inline Row<W> operator+(Row<W> a, Row<W> b) {
  for (int c = 0; c < W; ++c) a.x[c] += b.x[c];
  return a;
}
// a + weight b
template <int W>
HD inline Row<W> add_scaled(Row<W> a, float weight, Row<W> b) {
  for (int c = 0; c < W; ++c) a.x[c] += weight * b.x[c];
  return a;
}

// Calls f with the plane's width as a type that holds a constant.
template <class F>
void dispatch_width(int width, F f) {
  switch (width) {
    case 1: return f(std::integral_constant<int, 1>{});
    case 2: return f(std::integral_constant<int, 2>{});
    case 4: return f(std::integral_constant<int, 4>{});
    case 8: return f(std::integral_constant<int, 8>{});
    default: fail("a plane of ", width, " channels; expected 1, 2, 4 or 8");
  }
}

}  // namespace bbam
