#include "layers/torch_tensors.h"

namespace bbam {

namespace {

using Kind = PickleValue::Kind;

constexpr int64_t kMaxCount = int64_t{1} << 50;
constexpr std::pair<const char*, NumberFormat> kStorages[] = {
    {"torch.HalfStorage", NumberFormat::kF16},  {"torch.BFloat16Storage", NumberFormat::kBF16},
    {"torch.FloatStorage", NumberFormat::kF32}, {"torch.DoubleStorage", NumberFormat::kF64},
    {"torch.BoolStorage", NumberFormat::kBool}, {"torch.ByteStorage", NumberFormat::kU8},
    {"torch.IntStorage", NumberFormat::kI32},   {"torch.LongStorage", NumberFormat::kI64}};

bool is_tensor(const PickleValue& value) {
  return value.is_call_of("torch._utils._rebuild_tensor") ||
         value.is_call_of("torch._utils._rebuild_tensor_v2");
}

// _rebuild_parameter(tensor, requires_grad, hooks) is as good as its tensor.
const PickleValue& without_parameter(const PickleValue& value, const std::string& what) {
  if (!value.is_call_of("torch._utils._rebuild_parameter")) return value;
  check(!value.items.empty() && is_tensor(*value.items[0]), what, ": a parameter without a tensor");
  return *value.items[0];
}

std::vector<int64_t> integers(const PickleValue& value, const std::string& what) {
  const PickleValue& list =
      value.is_call_of("torch.Size") && value.items.size() == 1 ? *value.items[0] : value;
  check(list.is(Kind::kTuple) || list.is(Kind::kList), what, ": a ", describe(value),
        " where integers are expected");
  std::vector<int64_t> values;
  for (const PickleValue* item : list.items) {
    check(item->is(Kind::kInt), what, ": a ", describe(*item), " where an integer is expected");
    values.push_back(item->integer);
  }
  return values;
}

void check_within_storage(const TorchTensor& t, const std::string& what) {
  if (t.shape.size() == 0) return;
  const int64_t count = t.storage.count;
  bool inside = t.offset >= 0 && t.offset < count;
  int64_t last = t.offset;  // of the last element; stays below count, so nothing overflows
  for (int axis = 0; inside && axis < t.shape.rank(); ++axis) {
    const int64_t steps = t.shape[axis] - 1, stride = t.strides[size_t(axis)];
    if (steps == 0) continue;
    inside = stride >= 0 && (stride == 0 || steps <= (count - 1 - last) / stride);
    if (inside) last += steps * stride;
  }
  check(inside, what, ": shape ", t.shape, " from element ", t.offset,
        " reaches outside its storage of ", count, " elements");
}

// _rebuild_tensor(storage, offset, size, stride); _v2 adds what only training needs.
TorchTensor parse_tensor(const PickleValue& call, const std::string& name,
                         const std::string& what) {
  const auto& args = call.items;
  check(args.size() >= 4 && args[1]->is(Kind::kInt), what,
        ": not built from a storage, an offset, a size and strides");
  TorchTensor t{name, parse_storage(*args[0], what), args[1]->integer,
                checked_shape(integers(*args[2], what), what), integers(*args[3], what)};
  check(int(t.strides.size()) == t.shape.rank(), what, ": ", t.strides.size(),
        " strides for shape ", t.shape);
  check_within_storage(t, what);
  return t;
}

bool is_dense(const TorchTensor& t) {
  int64_t expected = 1;
  for (int axis = t.shape.rank() - 1; axis >= 0; --axis) {
    if (t.shape[axis] != 1 && t.strides[size_t(axis)] != expected) return false;
    expected *= t.shape[axis];
  }
  return true;
}

}  // namespace

TorchStorage parse_storage(const PickleValue& value, const std::string& what) {
  check(value.is(Kind::kPersistent) && value.items[0]->is(Kind::kTuple), what, ": built from a ",
        describe(value), "; expected a reference to a storage");
  const auto& id = value.items[0]->items;
  check(id.size() >= 5 && id[0]->text == "storage" && id[1]->is(Kind::kGlobal) &&
            id[2]->is(Kind::kString) && id[4]->is(Kind::kInt),
        what, ": its storage is not given as type, key, location and count");
  check(id.size() == 5 || (id.size() == 6 && id[5]->is(Kind::kNone)), what,
        ": its storage is a view of another one, as PyTorch before 0.4 wrote them; save it again "
        "with a newer PyTorch");
  for (const auto& [type, format] : kStorages) {
    if (id[1]->text != type) continue;
    check(id[4]->integer >= 0 && id[4]->integer <= kMaxCount, what, ": a storage of ",
          id[4]->integer, " elements");
    return {std::string(id[2]->text), format, id[4]->integer};
  }
  fail(what, ": its storage is a ", id[1]->text, ", which is not one of numbers");
}

std::vector<TorchTensor> find_tensors(const PickleValue& root, const std::string& path,
                                      std::vector<std::string>& ignored) {
  std::vector<TorchTensor> tensors;
  for_each_leaf(root, path, [&](const std::string& name, const PickleValue& leaf) {
    const std::string what = join(path, ": tensor '", name, "'");
    const PickleValue& value = without_parameter(leaf, what);
    if (is_tensor(value)) {
      tensors.push_back(parse_tensor(value, name.empty() ? "tensor" : name, what));
    } else {
      ignored.push_back(join(name, ": ", describe(value)));
    }
  });
  return tensors;
}

Tensor decode_tensor(const TorchTensor& t, std::string_view storage_bytes) {
  if (t.shape.size() == 0) return Tensor::empty(t.shape, dtype_for(t.storage.format));
  const char* const first = storage_bytes.data() + uint64_t(t.offset) * size_of(t.storage.format);
  if (is_dense(t)) return decode_numbers(first, t.storage.format, t.shape);
  return decode_strided(first, t.storage.format, t.shape, t.strides);
}

}  // namespace bbam
