// The test runner. Tests that need material which is not part of the project say that they skip;
// "[skipped] N test cases" at the end counts them.
// --gradcheck runs the op cases alone and lists every op with its worst gradient error.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string_view>

#include "tensor/allocator.h"
#include "tests/audit.h"
#include "tests/op_case.h"
#include "tests/shared.h"

namespace {

// Fails a test case that wrote outside its tensors. doctest asks listeners before it prints, but
// after it has judged the case: the verdict is corrected where doctest keeps it.
class AuditListener : public doctest::IReporter {
 public:
  explicit AuditListener(const doctest::ContextOptions&) {}

  void test_case_start(const doctest::TestCaseData& test) override {
    name_ = test.m_name;
    violations_ = bbam::MemoryAudit::violations();
    bbam::test::expected_violations = 0;
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    const int64_t found = bbam::MemoryAudit::violations() - violations_;
    const int64_t expected = bbam::test::expected_violations;
    if (found == expected) return;
    fmt::print("TEST CASE: {}\n  {} tensors were written out of bounds; expected {}\n", name_,
               found, expected);
    auto& verdict = *doctest::detail::g_cs;
    if (verdict.testCaseSuccess) verdict.numTestCasesFailed += 1;
    verdict.testCaseSuccess = false;
    verdict.failure_flags |= doctest::TestCaseFailureReason::AssertFailure;
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const char* name_ = "";
  int64_t violations_ = 0;
};

DOCTEST_REGISTER_LISTENER("audit", 1, AuditListener);

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context;
  bool list_gradients = false;
  for (int i = 1; i < argc; ++i) list_gradients |= std::string_view(argv[i]) == "--gradcheck";
  if (list_gradients) context.addFilter("test-case", "op *");
  context.applyCommandLine(argc, argv);
  const bbam::MemoryAudit audit;
  const int status = context.run();
  if (context.shouldExit()) return status;  // --help, --list-test-cases
  if (list_gradients) bbam::test::print_gradcheck_table();
  std::string devices;
  for (const bbam::Device device : bbam::available_devices())
    devices += (devices.empty() ? "" : ", ") + bbam::to_string(device);
  fmt::print("[devices] {}\n[skipped] {} test cases\n", devices, bbam::test::skipped_test_cases);
  return status;
}
