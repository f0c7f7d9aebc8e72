// Whole-file reads, and writes that leave either the old file or the whole new one.
#pragma once
#include <cstdio>
#include <string>
#include <string_view>

namespace bbam {

// Throws Error naming the path and the system's reason.
std::string read_file(const std::string& path);

// Writes beside `path` and renames on commit(); without commit() nothing is left behind.
class FileWriter {
 public:
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* bytes, size_t count);  // throws Error on a full disk
  void write(std::string_view text) { write(text.data(), text.size()); }
  std::FILE* handle() { return file_; }  // for libraries that want a FILE*
  void commit();                         // flushes, syncs, renames; throws Error when it cannot

 private:
  std::string path_, beside_;
  std::FILE* file_ = nullptr;
};

void write_file(const std::string& path, std::string_view text);
// Creates the folder and its parents; throws Error when it cannot be had or written to.
void make_folder(const std::string& path);

}  // namespace bbam
