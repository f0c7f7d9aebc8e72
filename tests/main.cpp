// The test runner. Tests that need material which is not part of the project say that they skip.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
