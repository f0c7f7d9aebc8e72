#include "layers/detectron_file.h"

#include <algorithm>

#include "layers/mapped_file.h"
#include "layers/number_format.h"
#include "layers/pickle.h"

namespace bbam {

namespace {

using Kind = PickleValue::Kind;

constexpr std::pair<const char*, NumberFormat> kFormats[] = {
    {"f2", NumberFormat::kF16}, {"f4", NumberFormat::kF32}, {"f8", NumberFormat::kF64},
    {"i4", NumberFormat::kI32}, {"i8", NumberFormat::kI64}, {"u1", NumberFormat::kU8},
    {"b1", NumberFormat::kBool}};

bool is_array(const PickleValue& value) {
  return value.is_call_of("numpy.core.multiarray._reconstruct") ||
         value.is_call_of("numpy._core.multiarray._reconstruct");
}

bool is_bytes(const PickleValue& value) {
  return value.is(Kind::kBytes) || value.is(Kind::kString);  // Python 2 has one type for both
}

// numpy.dtype('f4', align, copy) with the state (version, byte order, ...).
NumberFormat parse_format(const PickleValue& dtype, const std::string& what) {
  check(dtype.is_call_of("numpy.dtype") && !dtype.items.empty(), what, ": its type is a ",
        describe(dtype), "; expected numpy.dtype");
  const std::string_view name = dtype.items[0]->text;
  const auto* const format = std::find_if(std::begin(kFormats), std::end(kFormats),
                                          [&](const auto& known) { return name == known.first; });
  check(format != std::end(kFormats), what, ": its type is '", name,
        "'; expected f2, f4, f8, i4, i8, u1 or b1");
  if (dtype.state != nullptr) {
    const auto& state = dtype.state->items;
    check(state.size() >= 2 && state[1]->text != ">", what, ": its numbers are not little-endian");
  }
  return format->second;
}

// _reconstruct(ndarray, (0,), 'b') with the state (version, shape, dtype, is_fortran, bytes).
Tensor parse_array(const PickleValue& array, DecodeBudget& budget, const std::string& what) {
  check(array.state != nullptr && array.state->items.size() == 5, what,
        ": an array without its state of version, shape, type, order and bytes");
  const auto& state = array.state->items;
  std::vector<int64_t> extents;
  check(state[1]->is(Kind::kTuple), what, ": its shape is a ", describe(*state[1]));
  for (const PickleValue* extent : state[1]->items) {
    check(extent->is(Kind::kInt), what, ": its shape holds a ", describe(*extent));
    extents.push_back(extent->integer);
  }
  const Shape shape = checked_shape(extents, what);
  const NumberFormat format = parse_format(*state[2], what);
  check(state[3]->is(Kind::kBool) || state[3]->is(Kind::kInt), what, ": its order is a ",
        describe(*state[3]));
  check(is_bytes(*state[4]), what, ": its numbers are a ", describe(*state[4]));
  const std::string_view bytes = state[4]->text;
  const uint64_t expected = uint64_t(shape.size()) * size_of(format);
  check(bytes.size() == expected, what, ": ", bytes.size(), " bytes for shape ", shape,
        "; expected ", expected);
  budget.take(uint64_t(shape.size()) * size_of(dtype_for(format)));
  if (state[3]->integer == 0) return decode_numbers(bytes.data(), format, shape);
  std::vector<int64_t> strides;  // the first axis runs fastest
  int64_t stride = 1;
  for (const int64_t extent : extents) {
    strides.push_back(stride);
    stride *= extent;
  }
  return decode_strided(bytes.data(), format, shape, strides);
}

}  // namespace

DetectronFile read_detectron_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  const Pickle pickle(file->bytes(), path);
  check(pickle.root().is(Kind::kDict), path, ": a pickle of a ", describe(pickle.root()),
        "; expected a dict of arrays");
  DetectronFile result{{}, pickle.root().groups(), {}};
  DecodeBudget budget(file->bytes().size(), path);
  for_each_leaf(pickle.root(), path, [&](const std::string& name, const PickleValue& leaf) {
    if (!is_array(leaf)) {
      result.ignored.push_back(join(name, ": ", describe(leaf)));
      return;
    }
    const std::string what = join(path, ": array '", name, "'");
    check(result.tensors.emplace(name, parse_array(leaf, budget, what)).second, what,
          ": that name is given twice");
  });
  return result;
}

bool looks_like_pickle(std::string_view first_bytes) {
  return first_bytes.starts_with('\x80') || first_bytes.starts_with('}') ||
         first_bytes.starts_with("(d");
}

}  // namespace bbam
