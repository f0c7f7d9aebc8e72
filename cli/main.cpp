#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "cli/interrupt.h"

namespace {

// Between two kernels the threads of OpenMP spin for the next one, by default for so long that on a
// machine that others use as well (and our own loader does) they mostly keep each other from
// working: training was measured to be 7 to 14 times slower. How long is read before main() begins,
// so the program starts itself anew with less; who has set anything is left alone.
void spin_less(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  // By its own path, so that it keeps its name in lists of processes. execv returns only when it
  // fails, and then all goes on as it was.
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) execv(self.c_str(), argv);
}

}  // namespace

int main(int argc, char** argv) {
  spin_less(argv);
  bbam::catch_interrupts();
  return bbam::run_program({argv + 1, argv + argc}, std::cout, std::cerr, isatty(STDERR_FILENO));
}
