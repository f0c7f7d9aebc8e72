#include "layers/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/check.h"

namespace bbam {

namespace {

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  check(file.number >= 0, path, ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  const bool known = fstat(file.number, &status) == 0;
  check(known, path, ": cannot be read: ", std::strerror(errno));
  check(!S_ISDIR(status.st_mode), path, ": is a folder; expected a file");
  check(S_ISREG(status.st_mode), path, ": is not a regular file");
  const size_t count = size_t(status.st_size);
  if (count == 0) return std::shared_ptr<const MappedFile>(new MappedFile({}));
  void* const memory = mmap(nullptr, count, PROT_READ, MAP_PRIVATE, file.number, 0);
  check(memory != MAP_FAILED, path, ": cannot be mapped: ", std::strerror(errno));
  return std::shared_ptr<const MappedFile>(new MappedFile({static_cast<char*>(memory), count}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace bbam
