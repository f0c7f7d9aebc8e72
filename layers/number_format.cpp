#include "layers/number_format.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace bbam {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 50;

float from_half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(float(fraction), -24);  // subnormal
  } else {
    magnitude = std::ldexp(float(1024 + fraction), exponent - 25);
  }
  return (bits & 0x8000) ? -magnitude : magnitude;
}

float from_bfloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

void widen(const char* bytes, int64_t count, float (*convert)(uint16_t), float* to) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, sizeof bits);
    to[i] = convert(bits);
  }
}

}  // namespace

size_t size_of(NumberFormat format) {
  switch (format) {
    case NumberFormat::kBool:
    case NumberFormat::kU8: return 1;
    case NumberFormat::kF16:
    case NumberFormat::kBF16: return 2;
    case NumberFormat::kF32:
    case NumberFormat::kI32: return 4;
    case NumberFormat::kF64:
    case NumberFormat::kI64: return 8;
  }
  fail("unknown number format");
}

DType dtype_for(NumberFormat format) {
  switch (format) {
    case NumberFormat::kF16:
    case NumberFormat::kBF16:
    case NumberFormat::kF32: return DType::kF32;
    case NumberFormat::kF64: return DType::kF64;
    case NumberFormat::kBool:
    case NumberFormat::kU8: return DType::kU8;
    case NumberFormat::kI32: return DType::kI32;
    case NumberFormat::kI64: return DType::kI64;
  }
  fail("unknown number format");
}

bool is_native(NumberFormat format) {
  return format != NumberFormat::kF16 && format != NumberFormat::kBF16 &&
         format != NumberFormat::kBool;
}

Tensor decode_numbers(const char* bytes, NumberFormat format, const Shape& shape) {
  Tensor t = Tensor::empty(shape, dtype_for(format));
  if (t.size() == 0) return t;
  if (is_native(format)) {
    std::memcpy(t.mutable_raw(), bytes, t.bytes());
  } else if (format == NumberFormat::kBool) {
    uint8_t* const to = t.mutable_data<uint8_t>();
    for (int64_t i = 0; i < t.size(); ++i) to[i] = bytes[i] != 0;
  } else {
    widen(bytes, t.size(), format == NumberFormat::kF16 ? from_half : from_bfloat16,
          t.mutable_data<float>());
  }
  return t;
}

Tensor decode_strided(const char* bytes, NumberFormat format, const Shape& shape,
                      const std::vector<int64_t>& strides) {
  const size_t width = size_of(format);
  std::string dense(size_t(shape.size()) * width, '\0');
  std::vector<int64_t> index(strides.size(), 0);
  for (size_t i = 0; i < dense.size(); i += width) {
    int64_t at = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) at += index[axis] * strides[axis];
    std::memcpy(&dense[i], bytes + at * int64_t(width), width);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[size_t(axis)] < shape[axis]) break;
      index[size_t(axis)] = 0;
    }
  }
  return decode_numbers(dense.data(), format, shape);
}

Shape checked_shape(const std::vector<int64_t>& extents, const std::string& what) {
  check(extents.size() <= Shape::kMaxRank, what, ": a shape of ", extents.size(), " axes; at most ",
        Shape::kMaxRank, " are read");
  int64_t size = 1;
  for (const int64_t extent : extents) {
    check(extent >= 0, what, ": an extent of ", extent, "; expected 0 or more");
    // A later extent of 0 does not excuse an absurd product before it.
    check(extent == 0 || size <= kMaxElements / extent, what,
          ": its shape has more elements than any memory");
    if (extent > 0) size *= extent;
  }
  return Shape(extents);
}

void DecodeBudget::take(uint64_t bytes) {
  check(bytes <= left_, what_, ": what it unpacks to is out of all proportion to the file");
  left_ -= bytes;
}

}  // namespace bbam
