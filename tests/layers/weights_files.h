// What the tests of the weights readers share.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "layers/safetensors.h"
#include "tensor/files.h"
#include "tensor/random.h"
#include "tests/temp_folder.h"

namespace bbam::test {

inline void put_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// The message of the Error that `read` must throw for a file of these bytes; it begins with the
// file's name, which is left out.
inline std::string message_for(const std::string& bytes,
                               const std::function<void(const std::string& path)>& read) {
  const TempFolder folder;
  const std::string path = folder.path("bad");
  put_file(path, bytes);
  try {
    read(path);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.starts_with(path + ": "));
    return message.substr(std::min(message.size(), path.size() + 2));
  }
  FAIL("was read without an error");
  return {};
}

// Every proper beginning of the file is refused.
inline void check_truncations(const std::string& bytes,
                              const std::function<void(const std::string& path)>& read) {
  const TempFolder folder;
  const std::string path = folder.path("cut");
  for (size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    put_file(path, bytes.substr(0, length));
    CHECK_THROWS_AS(read(path), Error);
  }
}

// Files with a few bytes changed are read or refused with an Error; returns how many were refused.
inline int count_refused(const std::string& bytes, int trials,
                         const std::function<void(const std::string& path)>& read) {
  const TempFolder folder;
  const std::string path = folder.path("flipped");
  RandomSequence random(1);
  int refused = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::string flipped = bytes;
    for (int k = 0; k < 1 + trial % 3; ++k)
      flipped[size_t(random.below(int64_t(bytes.size())))] = char(random.below(256));
    put_file(path, flipped);
    try {
      read(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  return refused;
}

// Same names, types, shapes and bits.
inline void check_equal(const TensorMap& tensors, const TensorMap& expected) {
  CHECK(tensors.size() == expected.size());
  for (const auto& [name, t] : expected) {
    CAPTURE(name);
    REQUIRE(tensors.count(name) == 1);
    const Tensor& found = tensors.at(name);
    CHECK(found.dtype() == t.dtype());
    REQUIRE(found.shape() == t.shape());
    CHECK(std::memcmp(found.raw(), t.raw(), t.bytes()) == 0);
  }
}

}  // namespace bbam::test
