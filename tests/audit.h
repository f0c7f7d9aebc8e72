// The whole run stands under one MemoryAudit (tests/main.cpp): a test case in which something was
// written outside a tensor fails, unless it says beforehand how often it does so on purpose.
#pragma once
#include <cstdint>

namespace bbam::test {

inline int64_t expected_violations = 0;

// The current test case will write out of bounds in `count` blocks that it frees.
inline void expect_violations(int64_t count) { expected_violations += count; }

}  // namespace bbam::test
