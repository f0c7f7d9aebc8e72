// 64-bit FNV-1a [Fowler, Noll, Vo]: tells texts and files apart, and resists no attacker.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bbam {

struct Fnv1a {
  uint64_t state = 0xcbf29ce484222325ull;
  void add(std::string_view bytes) {
    for (const char byte : bytes) state = (state ^ uint8_t(byte)) * 0x100000001b3ull;
  }
};

}  // namespace bbam
