// Runs the program in this process and keeps what it says.
#pragma once
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"

namespace bbam::test {

struct CommandResult {
  int status;
  std::string out, err;
};

inline CommandResult run_command(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int status = run_program(arguments, out, err);
  return {status, out.str(), err.str()};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
// How an error must look: status 1, and one line that begins with "bbam: " and names `part`.
inline bool is_error(const CommandResult& result, const std::string& part) {
  const bool one_line = result.err.find('\n') == result.err.size() - 1;
  return result.status == 1 && one_line && result.err.rfind("bbam: ", 0) == 0 &&
         contains(result.err, part);
}

}  // namespace bbam::test
