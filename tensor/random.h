// Counter-based random numbers: the k-th number of stream (seed, salt) is a pure function of
// (seed, salt, k), so the sequence is the same on every device, for every thread count, and after
// a resume.
#pragma once
#include <cstdint>

#include "tensor/device.h"

namespace bbam {

// SplitMix64's finaliser: every bit of x reaches every bit of the result.
HD inline uint64_t mix_bits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

struct Random {
  uint64_t key;

  // `salt` names what the numbers are for, so that two uses of one seed do not share a sequence.
  HD explicit Random(uint64_t seed, uint64_t salt = 0)
      : key(mix_bits(seed + 0x9e3779b97f4a7c15ull * mix_bits(salt + 1))) {}

  HD uint64_t bits(uint64_t k) const { return mix_bits(key + 0x9e3779b97f4a7c15ull * (k + 1)); }
  // Uniform in [0, 1), 53 bits.
  HD double uniform(uint64_t k) const { return double(bits(k) >> 11) * 0x1.0p-53; }
  HD double uniform(uint64_t k, double low, double high) const {
    return low + (high - low) * uniform(k);
  }
  // Uniform in {0, ..., n-1}.
  HD int64_t below(uint64_t k, int64_t n) const { return int64_t(uniform(k) * double(n)); }
};

// Standard normal from two uniforms in [0, 1) (Box and Muller 1958).
double normal_from(double u0, double u1);

// Draws one number after the other; for code whose counter would only be bookkeeping.
class RandomSequence {
 public:
  explicit RandomSequence(uint64_t seed, uint64_t salt = 0) : random_(seed, salt) {}
  double uniform() { return random_.uniform(next_++); }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  int64_t below(int64_t n) { return random_.below(next_++, n); }
  double normal() {
    const double u0 = uniform();
    return normal_from(u0, uniform());
  }

 private:
  Random random_;
  uint64_t next_ = 0;
};

}  // namespace bbam
