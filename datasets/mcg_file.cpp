#include "datasets/mcg_file.h"

#include <matio.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>

#include "datasets/image.h"

namespace bbam {
namespace {

using File = std::unique_ptr<mat_t, decltype([](mat_t* file) { Mat_Close(file); })>;
using Variable =
    std::unique_ptr<matvar_t, decltype([](matvar_t* variable) { Mat_VarFree(variable); })>;

constexpr int64_t kMostProposals = int64_t(1) << 24;

File open(const std::string& path) {
  if (!std::ifstream(path).good()) fail(path, ": ", std::strerror(errno));
  File file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  check(file != nullptr, path, ": is no MATLAB file, or a damaged one");
  return file;
}

// The extents of a matrix of two dimensions; -1 for anything else.
struct Extents {
  int64_t rows = -1, columns = -1;
  explicit Extents(const matvar_t& variable) {
    if (variable.rank != 2 || variable.dims == nullptr) return;
    // Larger extents than any that is accepted, so that products do not overflow.
    const auto most = size_t(1) << 31;
    rows = int64_t(std::min(variable.dims[0], most));
    columns = int64_t(std::min(variable.dims[1], most));
  }
  int64_t size() const { return rows * columns; }
};

// The variable without its values; nullptr when there is none.
Variable header_of(const File& file, const char* name) {
  Mat_Rewind(file.get());
  return Variable(Mat_VarReadInfo(file.get(), name));
}

// The header is looked at first: no memory is asked for on a damaged file's word.
Variable read_variable(const File& file, const char* name, int64_t most, const std::string& path) {
  const Variable header = header_of(file, name);
  check(header != nullptr, path, ": has no variable \"", name,
        "\", or is cut off before it; expected superpixels and labels, as MCG's files have them");
  const Extents extents(*header);
  check(extents.rows >= 0 && extents.columns >= 0 && extents.size() <= most, path, ": ", name,
        " has ", header->rank, " dimensions, or more than ", most,
        " elements; expected a smaller matrix");
  Mat_Rewind(file.get());
  Variable variable(Mat_VarRead(file.get(), name));
  check(variable != nullptr && (variable->data != nullptr || extents.size() == 0), path, ": ", name,
        " cannot be read: the file is cut off or damaged");
  return variable;
}

template <class T>
std::vector<double> as_doubles(const matvar_t& variable, int64_t count, const std::string& what) {
  check(variable.nbytes == size_t(count) * sizeof(T), what, " has ", variable.nbytes, " bytes for ",
        count, " values: the file is damaged");
  const auto* values = static_cast<const T*>(variable.data);
  return {values, values + count};
}

// The values of a real matrix of at most `most` in MATLAB's order, column by column.
std::vector<double> numbers(const matvar_t* variable, int64_t most, const std::string& what) {
  check(variable != nullptr && !variable->isComplex, what, " is missing or complex");
  const Extents extents(*variable);
  const int64_t count = extents.size();
  check(extents.rows >= 0 && count <= most, what, " has ", variable->rank,
        " dimensions, or more than ", most, " values; expected a smaller matrix");
  if (count == 0) return {};
  check(variable->data != nullptr, what, " cannot be read: the file is cut off or damaged");
  switch (variable->class_type) {
    case MAT_C_DOUBLE: return as_doubles<double>(*variable, count, what);
    case MAT_C_SINGLE: return as_doubles<float>(*variable, count, what);
    case MAT_C_INT8: return as_doubles<int8_t>(*variable, count, what);
    case MAT_C_UINT8: return as_doubles<uint8_t>(*variable, count, what);
    case MAT_C_INT16: return as_doubles<int16_t>(*variable, count, what);
    case MAT_C_UINT16: return as_doubles<uint16_t>(*variable, count, what);
    case MAT_C_INT32: return as_doubles<int32_t>(*variable, count, what);
    case MAT_C_UINT32: return as_doubles<uint32_t>(*variable, count, what);
    case MAT_C_INT64: return as_doubles<int64_t>(*variable, count, what);
    case MAT_C_UINT64: return as_doubles<uint64_t>(*variable, count, what);
    default: fail(what, " is no numeric matrix (MATLAB class ", int(variable->class_type), ")");
  }
}

// From MATLAB's 1 ... count to 0 ... count - 1.
int32_t index_from(double one_based, int64_t count, const std::string& what) {
  check(one_based >= 1 && one_based <= double(count) && one_based == std::floor(one_based), what,
        " holds ", one_based, "; expected whole numbers from 1 to ", count);
  return int32_t(one_based) - 1;
}

Tensor read_superpixels(const File& file, const std::string& path) {
  const Variable variable = read_variable(file, "superpixels", kMaxImagePixels, path);
  const std::string what = path + ": superpixels";
  const std::vector<double> values = numbers(variable.get(), kMaxImagePixels, what);
  check(!values.empty(), what, " is empty");
  const auto height = int64_t(variable->dims[0]), width = int64_t(variable->dims[1]);
  std::vector<int32_t> superpixels(values.size());
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      superpixels[size_t(y * width + x)] =
          index_from(values[size_t(x * height + y)], height * width, what);
  return Tensor::from(superpixels, {height, width});
}

std::vector<std::vector<int32_t>> read_labels(const File& file, int64_t superpixels,
                                              const std::string& path) {
  const Variable variable = read_variable(file, "labels", kMostProposals, path);
  check(variable->class_type == MAT_C_CELL, path, ": labels is no cell array (MATLAB class ",
        int(variable->class_type), "); expected one cell for each proposal");
  std::vector<std::vector<int32_t>> regions;
  for (int64_t k = 0; k < Extents(*variable).size(); ++k) {
    const std::string what = join(path, ": labels{", k + 1, "}");
    std::vector<int32_t> region;
    for (const double value :
         numbers(Mat_VarGetCell(variable.get(), int(k)), kMaxImagePixels, what))
      region.push_back(index_from(value, superpixels, what));
    check(!region.empty(), what, " is empty; expected at least one superpixel");
    std::sort(region.begin(), region.end());
    region.erase(std::unique(region.begin(), region.end()), region.end());
    regions.push_back(std::move(region));
  }
  return regions;
}

std::vector<float> read_scores(const File& file, size_t proposals, const std::string& path) {
  if (header_of(file, "scores") == nullptr) return {};
  const Variable variable = read_variable(file, "scores", kMostProposals, path);
  const std::vector<double> values = numbers(variable.get(), kMostProposals, path + ": scores");
  check(values.size() == proposals, path, ": has ", values.size(), " scores for ", proposals,
        " proposals");
  return {values.begin(), values.end()};
}

}  // namespace

McgProposals read_mcg(const std::string& path) {
  const File file = open(path);
  McgProposals proposals;
  proposals.superpixels = read_superpixels(file, path);
  const std::vector<int32_t> indices = proposals.superpixels.to_vector<int32_t>();
  const int64_t count = *std::max_element(indices.begin(), indices.end()) + 1;
  proposals.regions = read_labels(file, count, path);
  proposals.scores = read_scores(file, proposals.regions.size(), path);
  return proposals;
}

}  // namespace bbam
