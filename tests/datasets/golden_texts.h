// Lists of texts in golden files: one u8 array and the offset of each text's end.
#pragma once
#include <string>
#include <vector>

#include "tests/golden.h"

namespace bbam::test {

inline std::vector<std::string> golden_texts(const SafetensorsFile& file, const std::string& name) {
  const auto bytes = file.tensors.at(name + ".texts").to_vector<uint8_t>();
  std::vector<std::string> texts;
  int64_t begin = 0;
  for (const int64_t end : file.tensors.at(name + ".text_ends").to_vector<int64_t>()) {
    texts.emplace_back(bytes.begin() + begin, bytes.begin() + end);
    begin = end;
  }
  return texts;
}

}  // namespace bbam::test
