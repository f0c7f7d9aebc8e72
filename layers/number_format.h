// How weights files store numbers, and their conversion to the types a Tensor has.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

// Little-endian throughout. kF16 is IEEE 754 binary16, kBF16 the upper half of a binary32, kBool a
// byte that is 0 or not.
enum class NumberFormat : uint8_t { kF16, kBF16, kF32, kF64, kBool, kU8, kI32, kI64 };

size_t size_of(NumberFormat format);
// The type that holds every value of the format: halves become f32, truth values u8.
DType dtype_for(NumberFormat format);
// Whether the bytes of a file are already those of dtype_for(format).
bool is_native(NumberFormat format);

// A new host tensor of dtype_for(format) from shape.size() numbers at `bytes` (any alignment).
Tensor decode_numbers(const char* bytes, NumberFormat format, const Shape& shape);

// The same of numbers that do not lie densely: element (i, j, ...) is number i * strides[0] +
// j * strides[1] + ... of those at `bytes`. The caller has checked that all of them exist.
Tensor decode_strided(const char* bytes, NumberFormat format, const Shape& shape,
                      const std::vector<int64_t>& strides);

// The shape, if every extent is >= 0, there are at most Shape::kMaxRank, and the numbers fit in
// memory; else throws Error beginning with `what`. Extents from files pass here before any product.
Shape checked_shape(const std::vector<int64_t>& extents, const std::string& what);

// Keeps what is made of a file in proportion to it: a hostile one can name the same numbers again
// and again, repeat one number along an axis, or be compressed a thousandfold.
class DecodeBudget {
 public:
  DecodeBudget(size_t file_bytes, const std::string& what)
      : left_(64 * file_bytes + (size_t{64} << 20)), what_(what) {}
  // Throws Error beginning with `what` once all together is over 64 MiB and 64 times the file.
  void take(uint64_t bytes);

 private:
  uint64_t left_;
  std::string what_;
};

}  // namespace bbam
