// Reads the golden files that the scripts of tests/golden wrote: numbers from a second source.
#pragma once
#include <filesystem>
#include <string>

#include "layers/safetensors.h"

namespace bbam::test {

// tests/golden/<file>, relative to the repository's root, where the tests run.
inline std::string golden_path(const std::string& file) {
  const std::string path = "tests/golden/" + file;
  check(std::filesystem::exists(path), path, ": not found from ",
        std::filesystem::current_path().string(),
        "; run the tests from the repository's root (make test)");
  return path;
}

// tensors by name, and the provenance (script, versions) as metadata.
inline SafetensorsFile golden(const std::string& name) {
  return read_safetensors(golden_path(name + ".safetensors"));
}

}  // namespace bbam::test
