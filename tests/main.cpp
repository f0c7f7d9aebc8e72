// The test runner. Tests that need material which is not part of the project say that they skip.
// --gradcheck runs the op cases alone and lists every op with its worst gradient error.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <string_view>

#include "tests/op_case.h"

int main(int argc, char** argv) {
  doctest::Context context;
  bool list_gradients = false;
  for (int i = 1; i < argc; ++i) list_gradients |= std::string_view(argv[i]) == "--gradcheck";
  if (list_gradients) context.addFilter("test-case", "op *");
  context.applyCommandLine(argc, argv);
  const int status = context.run();
  if (list_gradients) bbam::test::print_gradcheck_table();
  return status;
}
