#include "tensor/files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tensor/check.h"

namespace bbam {

std::string read_file(const std::string& path) {
  check(!std::filesystem::is_directory(path), path, ": is a folder; expected a file");
  std::FILE* file = std::fopen(path.c_str(), "rb");
  check(file != nullptr, path, ": cannot be opened: ", std::strerror(errno));
  std::string text;
  char chunk[1 << 16];
  for (size_t n; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) text.append(chunk, n);
  const bool whole = std::ferror(file) == 0;
  std::fclose(file);
  check(whole, path, ": could not be read to its end");
  return text;
}

FileWriter::FileWriter(const std::string& path)
    : path_(path), beside_(path + ".part-" + std::to_string(getpid())) {
  file_ = std::fopen(beside_.c_str(), "wb");
  check(file_ != nullptr, path, ": cannot be written: ", std::strerror(errno));
}

FileWriter::~FileWriter() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(beside_.c_str());
}

void FileWriter::write(const void* bytes, size_t count) {
  const bool whole = std::fwrite(bytes, 1, count, file_) == count;
  check(whole, path_, ": could not be written whole: ", std::strerror(errno));
}

void FileWriter::commit() {
  const bool flushed = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  const int flush_error = errno;
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  if (flushed && closed && std::rename(beside_.c_str(), path_.c_str()) == 0) return;
  const int error = flushed ? errno : flush_error;
  std::remove(beside_.c_str());
  fail(path_, ": could not be written whole: ", std::strerror(error));
}

void write_file(const std::string& path, std::string_view text) {
  FileWriter file(path);
  file.write(text);
  file.commit();
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  check(!error && std::filesystem::is_directory(path), path, ": this folder cannot be made: ",
        error ? error.message() : "a file of that name is in the way");
  check(access(path.c_str(), W_OK | X_OK) == 0, path, ": this folder cannot be written to");
}

}  // namespace bbam
