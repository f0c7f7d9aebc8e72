#include "layers/torch_file.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "layers/mapped_file.h"
#include "layers/torch_tensors.h"

namespace bbam {

namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kLegacyProtocol = 1001;

void add_tensor(TensorMap& tensors, const TorchTensor& t, std::string_view storage_bytes,
                const std::string& path) {
  check(tensors.emplace(t.name, decode_tensor(t, storage_bytes)).second, path,
        ": two tensors are named '", t.name, "'");
}

// What the tensors will take, before any of it is asked for.
void spend(DecodeBudget& budget, const std::vector<TorchTensor>& tensors) {
  for (const TorchTensor& t : tensors)
    budget.take(uint64_t(t.shape.size()) * size_of(dtype_for(t.storage.format)));
}

struct CloseZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

// The entries below the one folder of torch.save's archive.
class TorchZip {
 public:
  // `bytes` must outlive it.
  TorchZip(std::string_view bytes, const std::string& path)
      : path_(path), budget_(bytes.size(), path) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* const source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source != nullptr) {
      archive_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
      if (archive_ == nullptr) zip_source_free(source);
    }
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    check(archive_ != nullptr, path_, ": not a whole zip archive: ", reason);
    find_folder();
  }

  bool has(const std::string& entry) const { return locate(entry) >= 0; }

  // Its uncompressed bytes, verified by their CRC-32.
  std::string read(const std::string& entry) {
    const zip_int64_t index = locate(entry);
    check(index >= 0, path_, ": the archive has no entry ", folder_, entry);
    zip_stat_t status;
    zip_stat_init(&status);
    check(zip_stat_index(archive_.get(), zip_uint64_t(index), 0, &status) == 0 &&
              (status.valid & ZIP_STAT_SIZE),
          path_, ": entry ", entry, " has no size");
    budget_.take(status.size);
    const std::unique_ptr<zip_file_t, CloseZip> file(
        zip_fopen_index(archive_.get(), zip_uint64_t(index), 0));
    check(file != nullptr, path_, ": entry ", entry, ": ", zip_strerror(archive_.get()));
    std::string bytes(status.size, '\0');
    char beyond;  // reading to the end, and once more, is what makes libzip verify the checksum
    const bool whole =
        zip_fread(file.get(), bytes.data(), bytes.size()) == zip_int64_t(bytes.size()) &&
        zip_fread(file.get(), &beyond, 1) == 0;
    check(whole, path_, ": entry ", entry, " is damaged: ", zip_file_strerror(file.get()));
    return bytes;
  }

  DecodeBudget& budget() { return budget_; }

 private:
  void find_folder() {
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* const name = zip_get_name(archive_.get(), zip_uint64_t(i), 0);
      const std::string_view text = name ? name : "";
      if (!text.ends_with("/data.pkl") || text.find('/') != text.size() - 9) continue;
      folder_ = text.substr(0, text.size() - 8);
      return;
    }
    fail(path_, ": a zip archive without data.pkl; expected one that torch.save wrote");
  }
  zip_int64_t locate(const std::string& entry) const {
    return zip_name_locate(archive_.get(), (folder_ + entry).c_str(), 0);
  }

  std::string path_, folder_;
  DecodeBudget budget_;
  std::unique_ptr<zip_t, CloseZip> archive_;
};

TorchFile read_zip(std::string_view bytes, const std::string& path) {
  TorchZip zip(bytes, path);
  if (zip.has("byteorder"))
    check(zip.read("byteorder") == "little", path, ": its numbers are not little-endian");
  const std::string program = zip.read("data.pkl");
  const Pickle pickle(program, path);

  TorchFile result{{}, pickle.root().groups(), {}};
  std::vector<TorchTensor> tensors = find_tensors(pickle.root(), path, result.ignored);
  spend(zip.budget(), tensors);
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.storage.key < b.storage.key;  // so that each storage is read once
  });
  std::string storage;
  const std::string* key = nullptr;
  for (const TorchTensor& t : tensors) {
    if (key == nullptr || *key != t.storage.key) storage = zip.read("data/" + t.storage.key);
    key = &t.storage.key;
    check(storage.size() == t.storage.bytes(), path, ": tensor '", t.name, "': its storage has ",
          storage.size(), " bytes; expected ", t.storage.bytes());
    add_tensor(result.tensors, t, storage, path);
  }
  return result;
}

// The numbers of each key, in the order of the last pickle: an int64 count, then that many.
std::map<std::string, std::string_view> slice_storages(std::string_view rest, const Pickle& object,
                                                       const Pickle& keys,
                                                       const std::string& path) {
  std::map<std::string, TorchStorage> known;
  for (const PickleValue& value : object.values())
    if (value.is(Kind::kPersistent)) {
      TorchStorage storage = parse_storage(value, path);
      known.emplace(storage.key, std::move(storage));
    }
  std::map<std::string, std::string_view> slices;
  check(keys.root().is(Kind::kList), path, ": the keys of its storages are not a list");
  for (const PickleValue* item : keys.root().items) {
    const std::string key(item->text);
    const auto found = known.find(key);
    check(found != known.end(), path, ": storage '", key, "' is listed, but no tensor has it");
    const std::string what = join(path, ": storage '", key, "'");
    check(rest.size() >= 8, what, ": cut off");
    int64_t count;
    std::memcpy(&count, rest.data(), sizeof count);
    rest.remove_prefix(8);
    check(count == found->second.count, what, ": ", count, " elements; expected ",
          found->second.count);
    check(rest.size() >= found->second.bytes(), what, ": cut off: ", rest.size(),
          " bytes are left; expected ", found->second.bytes());
    check(slices.emplace(key, rest.substr(0, found->second.bytes())).second, what,
          ": listed twice");
    rest.remove_prefix(found->second.bytes());
  }
  check(rest.empty(), path, ": ", rest.size(), " bytes after the last storage belong to none");
  return slices;
}

TorchFile read_legacy(std::string_view bytes, const std::string& path) {
  const auto next = [&bytes, &path] {
    Pickle pickle(bytes, path);
    bytes.remove_prefix(pickle.bytes_read());
    return pickle;
  };
  check(next().root().text == kLegacyMagic, path, ": not what torch.save wrote");
  check(next().root().integer == kLegacyProtocol, path, ": its protocol is not 1001");
  const Pickle system = next();
  const PickleValue* const little = system.root().find("little_endian");
  check(little == nullptr || little->integer == 1, path, ": its numbers are not little-endian");
  const Pickle object = next(), keys = next();

  const auto slices = slice_storages(bytes, object, keys, path);
  TorchFile result{{}, object.root().groups(), {}};
  const std::vector<TorchTensor> tensors = find_tensors(object.root(), path, result.ignored);
  DecodeBudget budget(bytes.size(), path);
  spend(budget, tensors);
  for (const TorchTensor& t : tensors) {
    const auto found = slices.find(t.storage.key);
    check(found != slices.end() && found->second.size() == t.storage.bytes(), path, ": tensor '",
          t.name, "': its storage '", t.storage.key, "' is missing or of another size");
    add_tensor(result.tensors, t, found->second, path);
  }
  return result;
}

}  // namespace

bool looks_like_torch_zip(std::string_view first_bytes) {
  return first_bytes.starts_with(std::string_view("PK\x03\x04", 4));
}

bool looks_like_torch_legacy(std::string_view first_bytes) {
  // PROTO n, LONG1 of ten bytes
  return first_bytes.size() >= 14 && first_bytes[0] == '\x80' &&
         first_bytes.substr(2, 2) == "\x8a\x0a" && first_bytes.substr(4, 10) == kLegacyMagic;
}

TorchFile read_torch_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  if (looks_like_torch_zip(bytes)) return read_zip(bytes, path);
  check(looks_like_torch_legacy(bytes), path, ": not a file of PyTorch's torch.save");
  return read_legacy(bytes, path);
}

}  // namespace bbam
