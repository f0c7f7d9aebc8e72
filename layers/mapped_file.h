// A file's bytes in memory, read by the system when they are touched.
#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace bbam {

// Read-only and of fixed size; tensors that wrap a part of it keep it alive. A file that is
// replaced by renaming (FileWriter) leaves earlier mappings whole.
class MappedFile {
 public:
  // Throws Error naming the path and the system's reason.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::string_view bytes) : bytes_(bytes) {}

  std::string_view bytes_;
};

}  // namespace bbam
