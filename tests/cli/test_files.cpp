// The small formats: .npy and .csv.
#include <doctest/doctest.h>

#include "cli/csv.h"
#include "cli/npy.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::TempFolder;

TEST_CASE("npy: the bytes that NumPy writes") {
  TempFolder folder;
  const std::string path = folder.path("a.npy");
  write_npy(path, Tensor::from(std::vector<float>{1, -2, 0.5f, 3, 4, 5}, {2, 3}));
  const std::string bytes = read_file(path);
  // numpy.save of the same array: 128 bytes of head, 24 of numbers.
  const std::string head = std::string("\x93NUMPY\x01\x00\x76\x00", 10) +
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  CHECK(bytes.substr(0, head.size()) == head);
  CHECK(bytes.size() == 128 + 24);
  CHECK(bytes[127] == '\n');
  CHECK(bytes.substr(128, 8) == std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
}

TEST_CASE("npy: arrays of any rank survive") {
  TempFolder folder;
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{0}, Shape{2, 3, 4}, Shape{1, 1}}) {
    std::vector<float> values(size_t(shape.size()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(i) / 7;
    write_npy(folder.path("a.npy"), Tensor::from(values, shape));
    const Tensor back = read_npy(folder.path("a.npy"));
    CHECK(back.shape() == shape);
    CHECK(back.to_vector<float>() == values);
  }
}

TEST_CASE("npy: bad files") {
  TempFolder folder;
  const std::string path = folder.path("a.npy");
  const auto message = [&](const std::string& bytes) -> std::string {
    write_file(path, bytes);
    try {
      read_npy(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  write_npy(path, Tensor::zeros({4, 4}));
  const std::string good = read_file(path);
  CHECK(message("").find("is no .npy file") != std::string::npos);
  CHECK(message(good.substr(0, 60)).find("cut off") != std::string::npos);
  CHECK(message(good.substr(0, good.size() - 1)).find("63 bytes") != std::string::npos);
  CHECK(message(good + "x").find("65 bytes") != std::string::npos);
  std::string other = good;
  other.replace(other.find("<f4"), 3, "<f8");
  CHECK(message(other).find("expected little-endian f32") != std::string::npos);
  other = good;
  other.replace(other.find("4, 4"), 4, "4, x");
  CHECK(message(other).find("shape") != std::string::npos);
  CHECK_THROWS_AS(write_npy(path, Tensor::zeros({2}, DType::kF64)), Error);
}

TEST_CASE("csv: a log goes on from where the run was resumed") {
  TempFolder folder;
  const std::string path = folder.path("log.csv");
  {
    CsvLog log(path, {"step", "loss"}, 0);
    for (int step = 1; step <= 4; ++step) log.add({double(step), 1.0 / step});
  }
  const std::string uninterrupted = read_file(path);
  {
    CsvLog log(path, {"step", "loss"}, 2);
    for (int step = 3; step <= 4; ++step) log.add({double(step), 1.0 / step});
  }
  CHECK(read_file(path) == uninterrupted);
  CHECK(read_csv(path).column("step") == std::vector<double>{1, 2, 3, 4});
  CHECK(float(read_csv(path).column("loss")[2]) == float(1.0 / 3));
  CHECK_THROWS_AS(CsvLog(path, {"step", "other"}, 2), Error);
  CsvLog(path, {"step", "other"}, 0);
  CHECK(read_csv(path).rows.empty());
}

TEST_CASE("csv: bad files") {
  TempFolder folder;
  const std::string path = folder.path("t.csv");
  for (const char* text : {"", "a,b\n1\n", "a\nx\n", "a\n1,2\n"}) {
    write_file(path, text);
    CHECK_THROWS_AS(read_csv(path), Error);
  }
  CHECK_THROWS_AS(NumberTable{}.column("a"), Error);
  CHECK_THROWS_AS(CsvLog("/nowhere/log.csv", {"a"}, 0), Error);
}
