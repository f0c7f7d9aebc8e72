#include "datasets/mcg_file.h"

#include <doctest/doctest.h>
#include <matio.h>

#include <string>

#include "tensor/files.h"
#include "tests/golden.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

std::string bytes_of(const Tensor& file) {
  const std::vector<uint8_t> bytes = file.to_vector<uint8_t>();
  return {bytes.begin(), bytes.end()};
}

// Writes MATLAB files variable by variable, with libmatio.
class MatWriter {
 public:
  explicit MatWriter(const std::string& path)
      : file_(Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5)) {}
  ~MatWriter() { Mat_Close(file_); }
  MatWriter(const MatWriter&) = delete;
  MatWriter& operator=(const MatWriter&) = delete;

  // Values in MATLAB's order, column by column.
  static matvar_t* matrix(const char* name, std::vector<double> values, size_t rows,
                          size_t columns) {
    size_t extents[2]{rows, columns};
    return Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, extents, values.data(), 0);
  }
  static matvar_t* cells(const char* name, const std::vector<std::vector<double>>& lists) {
    size_t extents[2]{lists.size(), 1};
    matvar_t* variable = Mat_VarCreate(name, MAT_C_CELL, MAT_T_CELL, 2, extents, nullptr, 0);
    for (size_t k = 0; k < lists.size(); ++k)
      Mat_VarSetCell(variable, int(k), matrix(nullptr, lists[k], 1, lists[k].size()));
    return variable;
  }
  static matvar_t* text(const char* name) {
    size_t extents[2]{1, 3};
    char abc[] = "abc";
    return Mat_VarCreate(name, MAT_C_CHAR, MAT_T_UINT8, 2, extents, abc, 0);
  }
  void add(matvar_t* variable) {
    Mat_VarWrite(file_, variable, MAT_COMPRESSION_ZLIB);
    Mat_VarFree(variable);
  }

 private:
  mat_t* file_;
};

// What read_mcg says of a file with these variables; "" when it can be read.
std::string complaint(const std::vector<matvar_t*>& variables) {
  const test::TempFolder folder;
  const std::string path = folder.path("some.mat");
  {
    MatWriter writer(path);
    for (matvar_t* variable : variables) writer.add(variable);
  }
  try {
    read_mcg(path);
  } catch (const Error& error) {
    const std::string text = error.what();
    REQUIRE(text.rfind(path + ": ", 0) == 0);
    return text.substr(path.size() + 2);
  }
  return "";
}

matvar_t* superpixels_2x3() { return MatWriter::matrix("superpixels", {1, 4, 2, 5, 3, 6}, 2, 3); }
matvar_t* one_label() { return MatWriter::cells("labels", {{1, 2}}); }

}  // namespace

TEST_CASE("mcg file: METHOD A9, files as scipy and HDF5 write them") {
  const SafetensorsFile file = test::golden("mcg");
  const auto lengths = file.tensors.at("lengths").to_vector<int32_t>();
  const auto indices = file.tensors.at("regions").to_vector<int32_t>();
  const auto scores = file.tensors.at("scores").to_vector<double>();
  const Tensor& expected = file.tensors.at("superpixels");
  const test::TempFolder folder;
  for (const std::string kind : {"compressed", "plain", "doubles", "v73"}) {
    CAPTURE(kind);
    write_file(folder.path(kind), bytes_of(file.tensors.at(kind + ".file")));
    const McgProposals read = read_mcg(folder.path(kind));
    REQUIRE(read.superpixels.shape() == expected.shape());
    auto superpixels = read.superpixels.to_vector<int32_t>();
    for (int32_t& index : superpixels) ++index;
    CHECK(superpixels == expected.to_vector<int32_t>());
    REQUIRE(read.regions.size() == lengths.size());
    size_t next = 0;
    for (const std::vector<int32_t>& region : read.regions)
      for (const int32_t index : region) CHECK(index + 1 == indices[next++]);
    CHECK(next == indices.size());
    CHECK(read.scores == (kind == "doubles" ? std::vector<float>{}
                                            : std::vector<float>(scores.begin(), scores.end())));
  }
}

TEST_CASE("mcg file: columns first, lists sorted and without repeats") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.mat");
  {
    MatWriter writer(path);
    writer.add(MatWriter::cells("labels", {{6, 1, 6}, {5}}));
    writer.add(superpixels_2x3());
  }
  const McgProposals read = read_mcg(path);
  CHECK(read.superpixels.to_vector<int32_t>() == std::vector<int32_t>{0, 1, 2, 3, 4, 5});
  CHECK(read.regions == std::vector<std::vector<int32_t>>{{0, 5}, {4}});
  CHECK(read.scores.empty());
}

TEST_CASE("mcg file: errors name the file and what is wrong") {
  using Writer = MatWriter;
  const auto says = [](const std::vector<matvar_t*>& variables, const std::string& part) {
    const std::string text = complaint(variables);
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  CHECK(complaint({superpixels_2x3(), one_label()}) == "");
  CHECK(complaint({superpixels_2x3(), Writer::cells("labels", {})}) == "");
  says({one_label()}, "has no variable \"superpixels\"");
  says({superpixels_2x3()}, "has no variable \"labels\"");
  says({Writer::text("superpixels"), one_label()}, "superpixels is no numeric matrix");
  says({superpixels_2x3(), Writer::matrix("labels", {1}, 1, 1)}, "labels is no cell array");
  says({superpixels_2x3(), Writer::cells("labels", {{1}, {2, 7}})}, "labels{2} holds 7");
  says({superpixels_2x3(), Writer::cells("labels", {{0}})}, "labels{1} holds 0");
  says({superpixels_2x3(), Writer::cells("labels", {{1.5}})}, "labels{1} holds 1.5");
  says({superpixels_2x3(), Writer::cells("labels", {{1}, {}})}, "labels{2} is empty");
  says({Writer::matrix("superpixels", {0, 1}, 1, 2), one_label()}, "superpixels holds 0");
  says({Writer::matrix("superpixels", {3, 1}, 1, 2), one_label()}, "superpixels holds 3");
  says({Writer::matrix("superpixels", {}, 0, 5), one_label()}, "superpixels is empty");
  says({superpixels_2x3(), one_label(), Writer::matrix("scores", {1, 2}, 2, 1)},
       "has 2 scores for 1 proposals");
  CHECK_THROWS_WITH_AS(read_mcg("not/there.mat"), doctest::Contains("not/there.mat: No such file"),
                       Error);
}

TEST_CASE("mcg file: a file cut off anywhere is an error, and so is none of MATLAB's") {
  const SafetensorsFile file = test::golden("mcg");
  const test::TempFolder folder;
  const std::string path = folder.path("cut.mat");
  for (const std::string kind : {"compressed", "plain"}) {
    CAPTURE(kind);
    const std::string whole = bytes_of(file.tensors.at(kind + ".file"));
    // The last variable is the superpixels, in whose padding the very last bytes may lie.
    for (size_t length = 0; length + 8 < whole.size(); length += 1 + length / 50) {
      CAPTURE(length);
      write_file(path, whole.substr(0, length));
      CHECK_THROWS_WITH_AS(read_mcg(path), doctest::Contains("cut.mat: "), Error);
    }
  }
  write_file(path, "GIF89a, and then nothing that anybody could read as numbers in a matrix");
  CHECK_THROWS_WITH_AS(read_mcg(path), doctest::Contains("cut.mat: "), Error);
}
