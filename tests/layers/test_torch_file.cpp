#include "layers/torch_file.h"

#include <zip.h>

#include <cmath>

#include "tests/close.h"
#include "tests/golden.h"
#include "tests/layers/weights_files.h"
#include "tests/shared.h"

using namespace bbam;
using namespace std::string_literals;

namespace {

void read_all(const std::string& path) { read_torch_file(path); }

std::string golden_bytes(const std::string& file) { return read_file(test::golden_path(file)); }

struct ZipEntry {
  std::string name, bytes;
};

// The bytes of an archive of these entries.
std::string zip_of(const std::vector<ZipEntry>& entries, int method = ZIP_CM_STORE) {
  const test::TempFolder folder;
  int error = 0;
  zip_t* const archive = zip_open(folder.path("a.zip").c_str(), ZIP_CREATE, &error);
  REQUIRE(archive != nullptr);
  for (const ZipEntry& entry : entries) {
    zip_source_t* const source =
        zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, entry.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    REQUIRE(index >= 0);
    zip_set_file_compression(archive, zip_uint64_t(index), method, 0);
  }
  REQUIRE(zip_close(archive) == 0);
  return read_file(folder.path("a.zip"));
}

std::string integer(int64_t value) {  // LONG1 of eight bytes
  return "\x8a\x08"s + std::string(reinterpret_cast<const char*>(&value), 8);
}
std::string tuple(const std::vector<int64_t>& values) {
  std::string text = "(";
  for (const int64_t value : values) text += integer(value);
  return text + "t";
}
std::string string(const std::string& text) {
  return "U" + std::string(1, char(text.size())) + text;
}

// {'x': a tensor of storage '0'}, as the opcodes of data.pkl.
std::string tensor(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                   int64_t offset, int64_t count, const std::string& type = "FloatStorage") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + string("storage") + "ctorch\n" + type + "\n" +
         string("0") + string("cpu") + integer(count) + "tQ" + integer(offset) + tuple(shape) +
         tuple(strides) + "\x89NtR";
}
std::string dict(const std::string& value) { return "}" + string("x") + value + "s."; }

std::string zip_with(const std::string& program, size_t storage_bytes = 24) {
  return zip_of({{"a/data.pkl", program}, {"a/data/0", std::string(storage_bytes, '\1')}});
}

void check_refused(const std::string& bytes, const char* part) {
  const std::string message = test::message_for(bytes, read_all);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("torch_file: both containers hold what PyTorch says they hold") {
  const TensorMap expected = test::golden("weights").tensors;
  for (const char* file : {"weights_zip.pth", "weights_legacy.pth"}) {
    CAPTURE(file);
    const TorchFile read = read_torch_file(test::golden_path(file));
    test::check_equal(read.tensors, expected);
    CHECK(read.groups == std::vector<std::string>{"state_dict", "optimizer"});
    CHECK(read.ignored == std::vector<std::string>{"epoch: int", "best: float", "name: string",
                                                   "nothing: none", "optimizer.lr.0: float",
                                                   "optimizer.lr.1: bool", "shape: torch.Size"});
  }
}

TEST_CASE("torch_file: tensors of one storage do not share memory afterwards") {
  TensorMap tensors = read_torch_file(test::golden_path("weights_zip.pth")).tensors;
  Tensor& base = tensors.at("state_dict.module.base");
  const Tensor part = tensors.at("state_dict.module.part").clone();
  base.fill(0);
  CHECK(tensors.at("state_dict.module.part").to_vector<float>() == part.to_vector<float>());
}

TEST_CASE("torch_file: compressed entries, a byte order, a bare tensor and any folder name") {
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  const std::string bytes(reinterpret_cast<const char*>(numbers.data()), 24);
  const test::TempFolder folder;
  const std::string path = folder.path("a.pth");
  test::put_file(path, zip_of({{"any name/data.pkl", tensor({3, 2}, {1, 3}, 0, 6) + "."},
                               {"any name/byteorder", "little"},
                               {"any name/data/0", bytes}},
                              ZIP_CM_DEFLATE));
  const TorchFile file = read_torch_file(path);
  CHECK(file.tensors.at("tensor").to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(file.tensors.at("tensor").shape() == Shape{3, 2});
  check_refused(zip_of({{"a/data.pkl", dict("N")}, {"a/byteorder", "big"}}), "not little-endian");
}

TEST_CASE("torch_file: a tensor must lie within its storage") {
  const auto refused = [](const std::string& value, const char* part) {
    check_refused(zip_with(dict(value)), part);
  };
  const test::TempFolder folder;
  test::put_file(folder.path("good"), zip_with(dict(tensor({2, 2}, {3, 1}, 1, 6))));
  CHECK_NOTHROW(read_torch_file(folder.path("good")));  // the last element is the storage's last

  refused(tensor({7}, {1}, 0, 6),
          "tensor 'x': shape (7) from element 0 reaches outside its storage");
  refused(tensor({2, 3}, {3, 1}, 1, 6), "reaches outside its storage of 6 elements");
  refused(tensor({1}, {1}, 6, 6), "reaches outside");
  refused(tensor({1}, {1}, -1, 6), "reaches outside");
  refused(tensor({2}, {-1}, 3, 6), "reaches outside");
  refused(tensor({3}, {INT64_MAX / 2}, 0, 6), "reaches outside");
  refused(tensor({1}, {1}, INT64_MAX, 6), "reaches outside");
  refused(tensor({2, 2}, {1}, 0, 6), "1 strides for shape (2, 2)");
  refused(tensor({-1}, {1}, 0, 6), "an extent of -1");
  refused(tensor({1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1}, 0, 6), "a shape of 7 axes");
  refused(tensor({int64_t{1} << 40, int64_t{1} << 40}, {0, 0}, 0, 6),
          "more elements than any memory");
  refused(tensor({1}, {1}, 0, int64_t{1} << 60), "a storage of 1152921504606846976 elements");
  refused(tensor({1}, {1}, 0, -1), "a storage of -1 elements");
  refused(tensor({1}, {1}, 0, 7), "its storage has 24 bytes; expected 28");
  // One number repeated: allowed, but not to gigabytes.
  refused(tensor({1 << 30}, {0}, 0, 6), "out of all proportion to the file");
}

TEST_CASE("torch_file: what is not a tensor of numbers is refused by name") {
  const auto refused = [](const std::string& value, const char* part) {
    check_refused(zip_with(dict(value)), part);
  };
  const std::string rebuild = "ctorch._utils\n_rebuild_tensor_v2\n";
  refused("cposix\nsystem\n(" + string("ls") + "tR", "it asks for posix.system");
  refused(rebuild + ")R", "tensor 'x': not built from a storage");
  refused(rebuild + "(NK\x00K\x00K\x00tR"s, "built from a none");
  refused(rebuild + "(NK\x00tR"s, "not built from a storage");
  refused(rebuild + "(NQ)))tR", "not built from a storage");
  refused(rebuild + "(NQK\x01))tR", "built from a persistent id");
  refused(rebuild + "()QK\x01))tR", "not given as type, key, location and count");
  refused(tensor({1}, {1}, 0, 6, "Size"),
          "its storage is a torch.Size, which is not one of numbers");
  refused("ctorch._utils\n_rebuild_parameter\n(NtR", "a parameter without a tensor");
  refused(rebuild + "((" + string("storage") + "ctorch\nFloatStorage\n" + string("0") +
              string("cpu") + "K\x06(K\x00K\x00K\x00ttQ"s + "K\x00))tR"s,
          "a view of another one");
  check_refused(zip_with("}(" + string("a.b") + tensor({1}, {1}, 0, 6) + string("a") + "}" +
                         string("b") + tensor({1}, {1}, 0, 6) + "su."),
                "two tensors are named 'a.b'");
}

TEST_CASE("torch_file: damaged and foreign archives") {
  check_refused("PK\x03\x04 and nothing more", "not a whole zip archive");
  check_refused(zip_of({{"a/other.pkl", "N."}}), "without data.pkl");
  check_refused(zip_of({{"a/b/data.pkl", "N."}}), "without data.pkl");
  check_refused(zip_of({{"a/data.pkl", dict(tensor({1}, {1}, 0, 6))}}), "no entry a/data/0");
  std::string damaged = zip_with(dict(tensor({6}, {1}, 0, 6)));
  damaged[damaged.find(std::string(24, '\1')) + 5] = '\2';
  check_refused(damaged, "entry data/0 is damaged: CRC error");
  // 80 MiB of zeros compress to 80 kB.
  check_refused(zip_of({{"a/data.pkl", std::string(80 << 20, '\0')}}, ZIP_CM_DEFLATE),
                "out of all proportion to the file");
  check_refused("", "not a file of PyTorch's torch.save");
  check_refused("<html>", "not a file of PyTorch's torch.save");
}

TEST_CASE("torch_file: damaged legacy streams") {
  const std::string whole = golden_bytes("weights_legacy.pth");
  check_refused(whole + "x", "1 bytes after the last storage belong to none");
  std::string changed = whole;
  changed[changed.find("M\xe9\x03") + 1] = '\1';
  check_refused(changed, "its protocol is not 1001");
  changed = whole;
  changed[changed.find("little_endian") + 15] = '\x89';
  check_refused(changed, "not little-endian");

  const std::string start = whole.substr(0, whole.find("}"));  // magic number and protocol
  const std::string system = "}.";
  const std::string one = std::string("\1\0\0\0\0\0\0\0", 8) + std::string(4, '\1');
  const std::string object = dict(tensor({1}, {1}, 0, 1));
  const test::TempFolder folder;
  test::put_file(folder.path("good"), start + system + object + "]" + string("0") + "a." + one);
  CHECK(read_torch_file(folder.path("good")).tensors.count("x") == 1);
  check_refused(start + system + object + "].", "storage '0' is missing");
  check_refused(start + system + object + "N.", "keys of its storages are not a list");
  check_refused(start + system + object + "]" + string("1") + "a." + one,
                "storage '1' is listed, but no tensor has it");
  check_refused(start + system + object + "](" + string("0") + string("0") + "e." + one + one,
                "storage '0': listed twice");
  check_refused(start + system + object + "]" + string("0") + "a." + one.substr(0, 7),
                "storage '0': cut off");
  check_refused(start + system + object + "]" + string("0") + "a." + one.substr(0, 11),
                "storage '0': cut off: 3 bytes are left; expected 4");
  check_refused(start + system + object + "]" + string("0") + "a.\2" + one.substr(1),
                "storage '0': 2 elements; expected 1");
}

TEST_CASE("torch_file: cut off anywhere it is refused; flipped bytes do no worse") {
  for (const char* file : {"weights_zip.pth", "weights_legacy.pth"}) {
    CAPTURE(file);
    const std::string bytes = golden_bytes(file);
    test::check_truncations(bytes, read_all);
    CHECK(test::count_refused(bytes, 2000, read_all) > 500);
  }
}

TEST_CASE("torch_file: the ImageNet ResNet-50 of the shared folder") {
  const std::string path = test::shared_path("weights/resnet50_msra_imagenet.pth");
  BBAM_SKIP_WITHOUT(path, "weights/resnet50_msra_imagenet.pth");
  const TorchFile file = read_torch_file(path);
  CHECK(file.tensors.size() == 267);
  CHECK(file.ignored.empty());
  int64_t elements = 0;
  for (const auto& [name, t] : file.tensors) elements += t.size();
  CHECK(elements == 25'610'152);
  CHECK(file.tensors.at("layer4.0.downsample.0.weight").shape() == Shape{2048, 1024, 1, 1});

  const std::vector<float> conv1 = file.tensors.at("conv1.weight").to_vector<float>();
  double sum = 0, squares = 0;
  for (const float w : conv1) sum += w, squares += double(w) * w;
  const double n = double(conv1.size()), mean = sum / n;
  CHECK(std::sqrt(squares / n - mean * mean) == test::close_to(0.111, 0.005));
  const std::vector<float> variance = file.tensors.at("bn1.running_var").to_vector<float>();
  sum = 0;
  for (const float v : variance) sum += v;
  CHECK(sum / double(variance.size()) == test::close_to(8681, 1e-4));
}

TEST_CASE("torch_file: the CIFAR networks of the shared folder, in the legacy container") {
  struct Case {
    const char* file;
    size_t tensors;
    double conv1_std;
  };
  for (const Case& c : {Case{"weights/resnet20-12fca82f.th", 97, 0.40},
                        Case{"weights/resnet56-4bfd9763.th", 277, 0.37}}) {
    const std::string path = test::shared_path(c.file);
    BBAM_SKIP_WITHOUT(path, "the CIFAR networks");
    const TorchFile file = read_torch_file(path);
    CHECK(file.tensors.size() == c.tensors);
    CHECK(file.ignored == std::vector<std::string>{"best_prec1: float"});
    const Tensor& conv1 = file.tensors.at("state_dict.module.conv1.weight");
    CHECK(conv1.shape() == Shape{16, 3, 3, 3});
    double sum = 0, squares = 0;
    for (const float w : conv1.to_vector<float>()) sum += w, squares += double(w) * w;
    const double n = double(conv1.size()), mean = sum / n;
    CHECK(std::sqrt(squares / n - mean * mean) == test::close_to(c.conv1_std, 0.02));
  }
}
