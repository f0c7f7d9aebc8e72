#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;

TEST_CASE("files: a write that is not committed leaves the old file and nothing else") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.txt");
  write_file(path, "old");
  {
    FileWriter writer(path);
    writer.write("new, but never finished");
  }
  CHECK(read_file(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  write_file(path, "new");
  CHECK(read_file(path) == "new");
}

TEST_CASE("files: a disk that fills up leaves the old file, and the reason is told") {
  // A limit on the size of files stands for the full disk: writes fail half-way in the same manner.
  const test::TempFolder folder;
  const std::string path = folder.path("a.txt"), large(300000, 'x');
  write_file(path, "old");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100000, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_file(path, large);
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(message == path + ": could not be written whole: File too large");
  CHECK(read_file(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("files: errors name the file and the reason") {
  CHECK_THROWS_WITH_AS(read_file("/no/such/file"),
                       "/no/such/file: cannot be opened: No such file or directory", Error);
  CHECK_THROWS_WITH_AS(write_file("/no/such/folder/x", ""),
                       doctest::Contains("cannot be written: No such file"), Error);
  CHECK_THROWS_WITH_AS(make_folder("/dev/null/x"),
                       doctest::Contains("/dev/null/x: this folder cannot be made"), Error);
}
