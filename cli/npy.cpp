#include "cli/npy.h"

#include <cstring>

#include "layers/number_format.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
constexpr std::string_view kDescription = "{'descr': '<f4', 'fortran_order': False, 'shape': (";

}  // namespace

void write_npy(const std::string& path, const Tensor& tensor) {
  check(tensor.dtype() == DType::kF32, path, ": a .npy file of ", tensor, "; expected f32");
  std::string header(kDescription);
  for (int i = 0; i < tensor.rank(); ++i) header += std::to_string(tensor.dim(i)) + ", ";
  if (tensor.rank() > 1) header.resize(header.size() - 2);
  header += "), }";
  // The whole head is a multiple of 64 bytes, filled with spaces and ended by a line feed.
  header.resize((kMagic.size() + 2 + header.size() + 64) / 64 * 64 - kMagic.size() - 2, ' ');
  header.back() = '\n';
  const auto length = uint16_t(header.size());
  const std::vector<float> values = tensor.to_vector<float>();
  FileWriter file(path);
  file.write(kMagic);
  file.write(&length, 2);
  file.write(header);
  file.write(values.data(), 4 * values.size());
  file.commit();
}

Tensor read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  check(bytes.size() >= 10 && std::string_view(bytes).substr(0, 8) == kMagic, path,
        ": is no .npy file of version 1.0");
  uint16_t length;
  std::memcpy(&length, bytes.data() + 8, 2);
  check(bytes.size() >= size_t(10) + length, path, ": is cut off in its header");
  const std::string header = bytes.substr(10, length);
  check(header.rfind(kDescription, 0) == 0, path, ": holds ", header.substr(0, 60),
        "...; expected little-endian f32, row-major");
  std::vector<int64_t> extents;
  const char* at = header.c_str() + kDescription.size();
  while (*at >= '0' && *at <= '9') {
    char* end;
    extents.push_back(std::strtoll(at, &end, 10));
    at = end;
    while (*at == ',' || *at == ' ') ++at;
  }
  check(*at == ')', path, ": its shape cannot be read");
  const Shape shape = checked_shape(extents, path);
  check(bytes.size() - 10 - length == 4 * size_t(shape.size()), path, ": holds ",
        bytes.size() - 10 - length, " bytes of numbers; its shape ", shape, " needs ",
        4 * shape.size());
  return decode_numbers(bytes.data() + 10 + length, NumberFormat::kF32, shape);
}

}  // namespace bbam
