// Tensor: a shared handle on a contiguous array of one type on one device.
//
// Layout is always row-major and dense; images and features are NHWC, convolution weights
// (Cout, kh, kw, Cin) (DESIGN decision 2). Copying a Tensor copies the handle, not the numbers;
// clone() copies the numbers. Devices change only by an explicit to().
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <vector>

#include "tensor/check.h"
#include "tensor/device.h"

namespace bbam {

enum class DType : uint8_t { kF32, kF64, kI32, kI64, kU8 };

size_t size_of(DType dtype);
const char* to_string(DType dtype);
std::ostream& operator<<(std::ostream& out, DType dtype);

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct dtype_of<int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct dtype_of<uint8_t> {
  static constexpr DType value = DType::kU8;
};

// Up to six extents; trivially copyable, so kernels may hold one.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents);
  explicit Shape(const std::vector<int64_t>& extents);

  int rank() const { return rank_; }
  int64_t size() const;  // product of the extents; 1 for rank 0
  int64_t operator[](int axis) const { return extents_[size_t(axis)]; }
  int64_t& operator[](int axis) { return extents_[size_t(axis)]; }
  // Negative axes count from the back; throws Error when out of range.
  int64_t at(int axis) const;
  bool operator==(const Shape&) const = default;
  std::vector<int64_t> to_vector() const;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage; defined() is false

  static Tensor empty(Shape shape, DType dtype = DType::kF32, Device device = kCpu);
  static Tensor zeros(Shape shape, DType dtype = DType::kF32, Device device = kCpu);
  static Tensor full(Shape shape, double value, DType dtype = DType::kF32, Device device = kCpu);
  // Like `other` in type and device.
  static Tensor empty_like(const Tensor& other) {
    return empty(other.shape(), other.dtype(), other.device());
  }
  static Tensor zeros_like(const Tensor& other) {
    return zeros(other.shape(), other.dtype(), other.device());
  }
  // Copies; throws Error when the count does not fill the shape.
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape, Device device = kCpu) {
    return from_host(values.data(), int64_t(values.size()), dtype_of<T>::value, shape, device);
  }
  template <class T>
  static Tensor from(const std::vector<T>& values) {
    return from(values, {int64_t(values.size())});
  }
  // Wraps memory owned by `owner` (a mapped file) without copying; it must not be written to.
  static Tensor wrap(std::shared_ptr<void> owner, Shape shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_.at(axis); }
  int64_t size() const { return defined() ? shape_.size() : 0; }
  size_t bytes() const { return size_t(size()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  Stream stream() const { return stream_of(device_); }

  // Pointers to the first element, on device(); throw Error when T is not the type.
  // mutable_data marks the storage as changed, which invalidates packed copies of weights.
  template <class T>
  const T* data() const {
    check_type(dtype_of<T>::value);
    return static_cast<const T*>(raw());
  }
  template <class T>
  T* mutable_data() {
    check_type(dtype_of<T>::value);
    return static_cast<T*>(mutable_raw());
  }
  const void* raw() const;
  void* mutable_raw();

  Tensor to(Device device) const;  // this handle when already there
  Tensor cast(DType dtype) const;  // this handle when already of that type
  Tensor clone() const;
  Tensor reshape(Shape shape) const;              // shares storage; one extent may be -1
  Tensor rows(int64_t begin, int64_t end) const;  // [begin, end) of axis 0; shares storage
  // Shares storage and adds / drops nothing but an extent of 1 in front.
  Tensor as_batch() const;

  void fill(double value);
  void copy_from(const Tensor& source);  // same shape and type, any devices

  // Host copies of the values; throw Error when T is not the type (item: when size() is not 1).
  template <class T>
  std::vector<T> to_vector() const {
    check_type(dtype_of<T>::value);
    std::vector<T> values(static_cast<size_t>(size()));
    copy_to_host(values.data());
    return values;
  }
  template <class T>
  T item() const {
    check(size() == 1, "item() of a tensor of shape ", shape_, "; expected one element");
    return to_vector<T>()[0];
  }
  // Any float type, as double.
  double scalar() const;

  // Identity of the numbers, for caches: the storage, its version, and where this handle begins.
  struct Identity {
    uint64_t storage = 0, version = 0;
    int64_t offset_bytes = 0;
    auto operator<=>(const Identity&) const = default;
  };
  Identity identity() const;
  std::weak_ptr<const void> lifetime() const;  // expires with the storage
  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  bool is_sole_owner() const { return storage_.use_count() == 1; }

 private:
  struct Storage;

  static Tensor from_host(const void* values, int64_t count, DType dtype, Shape shape,
                          Device device);
  void copy_to_host(void* to) const;
  void check_type(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_bytes_ = 0;
  Shape shape_;
  DType dtype_ = DType::kF32;
  Device device_;
};

std::ostream& operator<<(std::ostream& out, const Tensor& tensor);  // "f32(2, 3) on cpu"

// Calls f with a value of the C++ type: float or double; throws Error for the other types.
template <class F>
decltype(auto) dispatch_float(DType dtype, F&& f) {
  if (dtype == DType::kF32) return f(float{});
  check(dtype == DType::kF64, "this operation takes f32 or f64, not ", dtype);
  return f(double{});
}

// Shape checks with one message: `what` names the operation and argument; -1 matches any extent.
void check_shape(const Tensor& tensor, std::initializer_list<int64_t> expected, const char* what);
void check_same(const Tensor& a, const Tensor& b, const char* what);  // shape, type and device

}  // namespace bbam
