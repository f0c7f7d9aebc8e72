// Errors that say what to do (DESIGN decision 7).
//
// `check(cond, parts...)` throws Error with the parts joined when `cond` is false. Messages name
// the operation, the shapes or the file, what is wrong and what was expected:
//   check(x.rank() == 4, "conv2d: x is ", x.shape(), "; expected (N, H, W, C)");
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace bbam {

// Every failure that a caller can act upon. The program prints what() and exits with status 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A fault of a device or its libraries, after which nothing that the device holds can be trusted:
// no Error, so that nobody who passes over a bad picture passes over this. It ends the program.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(join(parts...));
}

template <class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(parts...);
}

}  // namespace bbam
