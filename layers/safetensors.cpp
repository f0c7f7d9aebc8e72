#include "layers/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "layers/mapped_file.h"
#include "layers/number_format.h"
#include "tensor/files.h"

namespace bbam {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // of the format's own description
constexpr const char* kMetadata = "__metadata__";
constexpr std::pair<const char*, NumberFormat> kFormats[] = {
    {"F16", NumberFormat::kF16}, {"BF16", NumberFormat::kBF16}, {"F32", NumberFormat::kF32},
    {"F64", NumberFormat::kF64}, {"BOOL", NumberFormat::kBool}, {"U8", NumberFormat::kU8},
    {"I32", NumberFormat::kI32}, {"I64", NumberFormat::kI64}};

struct Entry {
  std::string name;
  NumberFormat format;
  Shape shape;
  uint64_t begin, end;  // bytes, from the first after the header
};

// Refuses what nlohmann-json would let pass: names given twice, and nesting without end.
class StrictObjects {
 public:
  explicit StrictObjects(const std::string& path) : path_(path) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    check(depth <= 4, path_, ": the header is nested deeper than safetensors can be");
    if (event == Json::parse_event_t::object_start) names_.emplace_back();
    if (event == Json::parse_event_t::object_end) names_.pop_back();
    if (event == Json::parse_event_t::key)
      check(names_.back().insert(parsed.get<std::string>()).second, path_,
            ": the header has two entries named ", parsed.dump());
    return true;
  }

 private:
  const std::string& path_;
  std::vector<std::set<std::string>> names_;
};

Json parse_header(std::string_view text, const std::string& path) {
  check(text.starts_with('{'), path, ": the header is not a JSON object; expected safetensors");
  try {
    Json header = Json::parse(text.begin(), text.end(), StrictObjects(path));
    return header;
  } catch (const Json::exception& error) {
    fail(path, ": the header is not valid JSON: ", error.what());
  }
}

// The integers of a JSON array, or nothing when it is anything else.
std::optional<std::vector<int64_t>> integers(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return {};
  std::vector<int64_t> values;
  for (const Json& value : *found) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t(INT64_MAX)) return {};
    values.push_back(value.get<int64_t>());
  }
  return values;
}

Entry parse_entry(const std::string& name, const Json& json, uint64_t data_bytes,
                  const std::string& path) {
  const std::string what = join(path, ": tensor '", name, "'");
  check(json.is_object() && json.size() == 3 && json.contains("dtype"), what,
        ": its header entry must have dtype, shape and data_offsets, and nothing else");
  const Json& type = json["dtype"];
  const auto format =
      std::find_if(std::begin(kFormats), std::end(kFormats),
                   [&](const auto& known) { return type.is_string() && type == known.first; });
  check(format != std::end(kFormats), what, ": its dtype is ", type.dump(),
        "; expected F16, BF16, F32, F64, BOOL, U8, I32 or I64");
  const auto extents = integers(json, "shape"), range = integers(json, "data_offsets");
  check(extents.has_value(), what, ": its shape is not a list of integers of 0 or more");
  check(range.has_value() && range->size() == 2, what, ": its data_offsets are not two integers");
  Entry entry{name, format->second, checked_shape(*extents, what), uint64_t((*range)[0]),
              uint64_t((*range)[1])};
  check(entry.begin <= entry.end && entry.end <= data_bytes, what, ": its data_offsets [",
        entry.begin, ", ", entry.end, "] do not lie within the ", data_bytes,
        " bytes of data; is the file cut off?");
  const uint64_t expected = uint64_t(entry.shape.size()) * size_of(entry.format);
  check(entry.end - entry.begin == expected, what, ": ", entry.end - entry.begin,
        " bytes of data for ", format->first, entry.shape, "; expected ", expected);
  return entry;
}

void check_cover(std::vector<Entry> entries, uint64_t data_bytes, const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    check(entry.begin == covered, path, ": tensor '", entry.name, "': its data begin at byte ",
          entry.begin,
          entry.begin < covered ? ", inside those of another tensor" : ", after a hole",
          "; expected ", covered);
    covered = entry.end;
  }
  check(covered == data_bytes, path, ": ", data_bytes - covered,
        " bytes after the last tensor belong to none");
}

Tensor load(const Entry& entry, const char* data, const std::shared_ptr<const MappedFile>& file) {
  const char* const begin = data + entry.begin;
  const bool aligned = reinterpret_cast<uintptr_t>(begin) % size_of(entry.format) == 0;
  if (!is_native(entry.format) || !aligned || entry.shape.size() == 0)
    return decode_numbers(begin, entry.format, entry.shape);
  // Tensor::wrap promises never to write through this pointer.
  std::shared_ptr<void> owner(file, const_cast<char*>(begin));
  return Tensor::wrap(std::move(owner), entry.shape, dtype_for(entry.format));
}

const char* name_of(DType dtype) {
  for (const auto& [name, format] : kFormats)
    if (is_native(format) && dtype_for(format) == dtype) return name;
  fail("safetensors: no name for ", dtype);
}

}  // namespace

SafetensorsFile read_safetensors(const std::string& path) {
  const auto file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  check(bytes.size() >= 8, path, ": ", bytes.size(), " bytes; too short to be safetensors");
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  check(header_bytes <= kMaxHeaderBytes && header_bytes <= bytes.size() - 8, path, ": a header of ",
        header_bytes, " bytes is announced, but only ", bytes.size() - 8,
        " follow; not safetensors, or cut off");
  const Json header = parse_header(bytes.substr(8, header_bytes), path);
  const uint64_t data_bytes = bytes.size() - 8 - header_bytes;

  SafetensorsFile result;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) {
      entries.push_back(parse_entry(name, json, data_bytes, path));
      continue;
    }
    check(json.is_object(), path, ": ", kMetadata, " is not a JSON object");
    for (const auto& [key, value] : json.items()) {
      check(value.is_string(), path, ": ", kMetadata, " entry '", key, "' is not a string");
      result.metadata[key] = value.get<std::string>();
    }
  }
  check_cover(entries, data_bytes, path);
  for (const Entry& entry : entries)
    result.tensors[entry.name] = load(entry, bytes.data() + 8 + header_bytes, file);
  return result;
}

void write_safetensors(const std::string& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& entry : tensors) {
    check(entry.second.defined(), path, ": tensor '", entry.first, "' is undefined");
    check(entry.first != kMetadata, path, ": no tensor can be named ", kMetadata);
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t offset = 0;
  for (const auto* entry : order) {
    const Tensor& t = entry->second;
    header[entry->first] = {{"dtype", name_of(t.dtype())},
                            {"shape", t.shape().to_vector()},
                            {"data_offsets", {offset, offset + t.bytes()}}};
    offset += t.bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    fail(path, ": a tensor's name or metadata is not UTF-8: ", error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t header_bytes = text.size();

  FileWriter file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text);
  for (const auto* entry : order) {
    const Tensor host = entry->second.to(kCpu);
    file.write(host.raw(), host.bytes());
  }
  file.commit();
}

}  // namespace bbam
