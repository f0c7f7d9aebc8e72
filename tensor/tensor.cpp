#include "tensor/tensor.h"

#include <atomic>
#include <cstring>

#include "tensor/allocator.h"
#include "tensor/convert.h"

namespace bbam {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32: return 4;
    case DType::kF64:
    case DType::kI64: return 8;
    case DType::kU8: return 1;
  }
  fail("unknown dtype");
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kF64: return "f64";
    case DType::kI32: return "i32";
    case DType::kI64: return "i64";
    case DType::kU8: return "u8";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << to_string(dtype); }

Shape::Shape(std::initializer_list<int64_t> extents) : Shape(std::vector<int64_t>(extents)) {}

Shape::Shape(const std::vector<int64_t>& extents) : rank_(int(extents.size())) {
  check(extents.size() <= kMaxRank, "a shape of ", extents.size(), " axes; at most ", kMaxRank);
  std::copy(extents.begin(), extents.end(), extents_.begin());
}

int64_t Shape::size() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= extents_[size_t(i)];
  return product;
}

int64_t Shape::at(int axis) const {
  const int i = axis < 0 ? axis + rank_ : axis;
  check(i >= 0 && i < rank_, "axis ", axis, " of shape ", *this);
  return extents_[size_t(i)];
}

std::vector<int64_t> Shape::to_vector() const {
  return {extents_.begin(), extents_.begin() + rank_};
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << "(";
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ")";
}

struct Tensor::Storage {
  std::shared_ptr<void> memory;
  uint64_t id;
  std::atomic<uint64_t> version{0};
  bool is_read_only = false;
};

namespace {
std::atomic<uint64_t> next_storage_id{1};
}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  for (int i = 0; i < shape.rank(); ++i) check(shape[i] >= 0, "a tensor of shape ", shape);
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  t.storage_ = std::make_shared<Storage>();
  t.storage_->id = next_storage_id++;
  t.storage_->memory = allocate(device, size_t(shape.size()) * size_of(dtype));
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  runtime::fill_bytes(device, t.mutable_raw(), 0, t.bytes());
  return t;
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}

Tensor Tensor::from_host(const void* values, int64_t count, DType dtype, Shape shape,
                         Device device) {
  check(count == shape.size(), count, " values for a tensor of shape ", shape);
  Tensor t = empty(shape, dtype, device);
  runtime::copy(t.mutable_raw(), device, values, kCpu, t.bytes());
  return t;
}

Tensor Tensor::wrap(std::shared_ptr<void> owner, Shape shape, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>();
  t.storage_->id = next_storage_id++;
  t.storage_->memory = std::move(owner);
  t.storage_->is_read_only = true;
  return t;
}

const void* Tensor::raw() const {
  if (!defined()) return nullptr;
  return static_cast<const char*>(storage_->memory.get()) + offset_bytes_;
}

void* Tensor::mutable_raw() {
  check(defined(), "writing to an undefined tensor");
  check(!storage_->is_read_only, "writing to a tensor that wraps a mapped file; clone() it first");
  storage_->version += 1;
  return static_cast<char*>(storage_->memory.get()) + offset_bytes_;
}

Tensor Tensor::to(Device device) const {
  if (device == device_ || !defined()) return *this;
  Tensor t = empty(shape_, dtype_, device);
  runtime::copy(t.mutable_raw(), device, raw(), device_, bytes());
  return t;
}

Tensor Tensor::cast(DType dtype) const {
  if (dtype == dtype_ || !defined()) return *this;
  Tensor t = empty(shape_, dtype, device_);
  convert(stream(), raw(), dtype_, t.mutable_raw(), dtype, size());
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty(shape_, dtype_, device_);
  runtime::copy(t.mutable_raw(), device_, raw(), device_, bytes());
  return t;
}

Tensor Tensor::reshape(Shape shape) const {
  int64_t known = 1;
  int free_axis = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] >= 0) {
      known *= shape[i];
    } else {
      check(free_axis < 0, "reshape to ", shape, ": only one extent may be -1");
      free_axis = i;
    }
  }
  const Shape asked = shape;
  if (free_axis >= 0 && known > 0) shape[free_axis] = size() / known;
  check(shape.size() == size() && (free_axis < 0 || known > 0), "reshape of ", shape_, " to ",
        asked);
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  check(rank() >= 1 && begin >= 0 && begin <= end && end <= dim(0), "rows [", begin, ", ", end,
        ") of shape ", shape_);
  Tensor t = *this;
  const int64_t row_bytes = dim(0) > 0 ? int64_t(bytes()) / dim(0) : 0;
  t.shape_[0] = end - begin;
  t.offset_bytes_ += begin * row_bytes;
  return t;
}

Tensor Tensor::as_batch() const {
  std::vector<int64_t> extents = shape_.to_vector();
  extents.insert(extents.begin(), 1);
  return reshape(Shape(extents));
}

void Tensor::fill(double value) { fill_values(stream(), mutable_raw(), dtype_, size(), value); }

void Tensor::copy_from(const Tensor& source) {
  check(source.shape() == shape_ && source.dtype() == dtype_, "copy of ", source, " into ", *this);
  runtime::copy(mutable_raw(), device_, source.raw(), source.device(), bytes());
}

void Tensor::copy_to_host(void* to) const { runtime::copy(to, kCpu, raw(), device_, bytes()); }

void Tensor::check_type(DType wanted) const {
  check(dtype_ == wanted, "a ", dtype_, " tensor was used as ", wanted);
}

double Tensor::scalar() const {
  return dispatch_float(dtype_, [&](auto t) { return double(item<decltype(t)>()); });
}

Tensor::Identity Tensor::identity() const {
  if (!defined()) return {};
  return {storage_->id, storage_->version.load(), offset_bytes_};
}

std::weak_ptr<const void> Tensor::lifetime() const { return storage_; }

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  if (!tensor.defined()) return out << "undefined";
  return out << tensor.dtype() << tensor.shape() << " on " << tensor.device();
}

void check_shape(const Tensor& tensor, std::initializer_list<int64_t> expected, const char* what) {
  bool matches = tensor.defined() && tensor.rank() == int(expected.size());
  int axis = 0;
  for (int64_t extent : expected) {
    if (!matches) break;
    matches = extent < 0 || tensor.dim(axis) == extent;
    ++axis;
  }
  check(matches, what, " is ", tensor, "; expected shape ", Shape(expected), " (-1: any)");
}

void check_same(const Tensor& a, const Tensor& b, const char* what) {
  check(a.defined() && b.defined() && a.shape() == b.shape() && a.dtype() == b.dtype() &&
            a.device() == b.device(),
        what, ": ", a, " and ", b, " must agree in shape, type and device");
}

}  // namespace bbam
