#include "layers/safetensors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/golden.h"
#include "tests/layers/weights_files.h"

using namespace bbam;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = char(header.size() >> (8 * i));
  return length + header + data;
}

void read_all(const std::string& path) {
  for (const auto& [name, t] : read_safetensors(path).tensors) t.clone();
}

std::string message_for(const std::string& header, const std::string& data) {
  return test::message_for(file_of(header, data), read_all);
}

TensorMap one_of_each() {
  return {{"weights", Tensor::from<float>({1.5f, -2.25f, 3, 4, 5, 6}, {2, 3})},
          {"double", Tensor::from<double>({1e300, -0.1}, {2, 1})},
          {"labels", Tensor::from<int32_t>({-7, 8, 9})},
          {"count", Tensor::from<int64_t>({int64_t{1} << 40}, Shape{})},
          {"mask", Tensor::from<uint8_t>({1, 0, 255})},
          {"nothing", Tensor::zeros({0, 4})}};
}

}  // namespace

TEST_CASE("safetensors: what is written is read again, every type, with metadata") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.safetensors");
  const TensorMap written = one_of_each();
  write_safetensors(path, written, {{"made by", "test \"quoted\" \xc3\xa9"}});
  const SafetensorsFile file = read_safetensors(path);
  CHECK(file.metadata ==
        std::map<std::string, std::string>{{"made by", "test \"quoted\" \xc3\xa9"}});
  REQUIRE(file.tensors.size() == written.size());
  for (const auto& [name, t] : written) {
    CAPTURE(name);
    const Tensor& back = file.tensors.at(name);
    CHECK(back.dtype() == t.dtype());
    CHECK(back.shape() == t.shape());
    CHECK(std::memcmp(back.raw(), t.raw(), t.bytes()) == 0);
    CHECK(reinterpret_cast<uintptr_t>(back.raw()) % size_of(t.dtype()) == 0);
  }
}

TEST_CASE("safetensors: equal contents give equal bytes, and the header is padded to 8") {
  const test::TempFolder folder;
  write_safetensors(folder.path("a"), one_of_each(), {{"b", "2"}, {"a", "1"}});
  write_safetensors(folder.path("b"), one_of_each(), {{"a", "1"}, {"b", "2"}});
  const std::string bytes = read_file(folder.path("a"));
  CHECK(bytes == read_file(folder.path("b")));
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), 8);
  CHECK(header_bytes % 8 == 0);
}

TEST_CASE("safetensors: tensors wrap the file, refuse writing, and outlive its replacement") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.safetensors");
  write_safetensors(path, {{"x", Tensor::from<float>({1, 2, 3})}});
  Tensor x = read_safetensors(path).tensors.at("x");
  CHECK_THROWS_AS(x.mutable_data<float>(), Error);
  write_safetensors(path, {{"x", Tensor::from<float>({4, 5, 6})}});
  CHECK(x.to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(read_safetensors(path).tensors.at("x").to_vector<float>() == std::vector<float>{4, 5, 6});
}

TEST_CASE("safetensors: halves become f32, truth values u8, and unaligned numbers are copied") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.safetensors");
  const std::string header = R"({"f":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},)"
                             R"("g":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]},)"
                             R"("t":{"dtype":"BOOL","shape":[3],"data_offsets":[18,21]},)"
                             R"("u":{"dtype":"F32","shape":[1],"data_offsets":[21,25]}})";
  // binary16: 1, -2, 65504 (largest), 2^-24 (smallest), 2^-14 (smallest normal), -inf, NaN.
  const unsigned char data[] = {0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00,
                                0x04, 0x00, 0xfc, 0x00, 0x7e, 0x80, 0x3f, 0x49, 0xc0,
                                0,    1,    2,    0x00, 0x00, 0xc0, 0x3f};
  test::put_file(path,
                 file_of(header, std::string(reinterpret_cast<const char*>(data), sizeof data)));
  const TensorMap tensors = read_safetensors(path).tensors;
  const std::vector<float> f = tensors.at("f").to_vector<float>();
  const std::vector<float> expected{1, -2, 65504, 0x1p-24f, 0x1p-14f, -INFINITY};
  CHECK(std::vector<float>(f.begin(), f.end() - 1) == expected);
  CHECK(std::isnan(f.back()));
  CHECK(tensors.at("g").to_vector<float>() == std::vector<float>{1, -3.140625f});
  CHECK(tensors.at("t").to_vector<uint8_t>() == std::vector<uint8_t>{0, 1, 1});
  CHECK(tensors.at("u").to_vector<float>() == std::vector<float>{1.5f});
}

TEST_CASE("safetensors: each violation of the format has its message") {
  const auto x = [](const char* rest) { return join(R"({"x":{)", rest, "}}"); };
  const auto contains = [](const std::string& message, const char* part) {
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  const std::string eight(8, '\0');
  contains(message_for("[1]", ""), "not a JSON object");
  contains(message_for("{\"x\":", ""), "not valid JSON");
  contains(message_for("{\"\xff\":1}", ""), "not valid JSON");
  contains(message_for(R"({"x":[[[[[[[[1]]]]]]]]})", ""), "nested deeper");
  contains(message_for(R"({"x":1})", ""), "tensor 'x': its header entry must have");
  contains(message_for(x(R"("dtype":"F8","shape":[1],"data_offsets":[0,1])"), "a"), "\"F8\"");
  contains(message_for(x(R"("dtype":5,"shape":[1],"data_offsets":[0,1])"), "a"), "dtype is 5");
  contains(message_for(x(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), "a"), "its shape");
  contains(message_for(x(R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])"), "a"), "its shape");
  contains(message_for(x(R"("dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[0,1])"), "a"),
           "a shape of 7 axes");
  contains(
      message_for(x(R"("dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0])"), ""),
      "more elements than any memory");
  contains(
      message_for(x(R"("dtype":"F32","shape":[9223372036854775807,2,0],"data_offsets":[0,0])"), ""),
      "more elements than any memory");
  contains(
      message_for(x(R"("dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1])"), "a"),
      "its shape");
  contains(message_for(x(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), "a"), "data_offsets");
  contains(message_for(x(R"("dtype":"U8","shape":[8],"data_offsets":[8,0])"), eight),
           "do not lie within the 8 bytes");
  contains(message_for(x(R"("dtype":"U8","shape":[9],"data_offsets":[0,9])"), eight), "cut off");
  contains(message_for(x(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), eight),
           "8 bytes of data for F32(3); expected 12");
  contains(message_for(x(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), eight),
           "4 bytes after the last tensor");
  contains(message_for(x(R"("dtype":"U8","shape":[4],"data_offsets":[4,8])"), eight),
           "after a hole");
  contains(message_for(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                       R"("y":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                       eight),
           "tensor 'y': its data begin at byte 4, inside those of another");
  contains(message_for(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                       R"("x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
                       eight),
           "two entries named \"x\"");
  contains(message_for(R"({"__metadata__":{"a":1}})", ""), "entry 'a' is not a string");
  contains(message_for(R"({"__metadata__":[]})", ""), "__metadata__ is not");
}

TEST_CASE("safetensors: writing refuses what could not be read again") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.safetensors");
  const Tensor x = Tensor::zeros({1});
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"x", Tensor()}}),
                       doctest::Contains("'x' is undefined"), Error);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"\xff", x}}), doctest::Contains("not UTF-8"),
                       Error);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"__metadata__", x}}),
                       doctest::Contains("no tensor can be named"), Error);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("cannot be opened"), Error);
  CHECK_THROWS_WITH_AS(read_safetensors(folder.path()), doctest::Contains("is a folder"), Error);
}

TEST_CASE("safetensors: a file cut off anywhere is refused, one with flipped bytes does no worse") {
  const test::TempFolder folder;
  write_safetensors(folder.path("whole"), one_of_each(), {{"a", "b"}});
  const std::string bytes = read_file(folder.path("whole"));
  test::check_truncations(bytes, read_all);
  CHECK(test::count_refused(bytes, 2000, read_all) > 1000);
}

TEST_CASE("safetensors: golden files must be read from the repository's root") {
  CHECK_THROWS_WITH_AS(test::golden("no such file"),
                       doctest::Contains("run the tests from the repository's root"), Error);
}
