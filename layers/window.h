// A rectangle of a feature map, in its pixels, half-open.
#pragma once
#include <cstdint>

namespace bbam {

struct Window {
  int64_t top = 0, bottom = 0, left = 0, right = 0;

  bool empty() const { return bottom <= top || right <= left; }
  bool operator==(const Window&) const = default;
};

}  // namespace bbam
