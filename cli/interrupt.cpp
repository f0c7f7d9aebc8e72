#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace bbam {
namespace {

std::atomic<bool> flag{false};
std::atomic<int> looks_left{0};
static_assert(std::atomic<bool>::is_always_lock_free, "the signal handler sets it");

void on_signal(int signal) {
  flag = true;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() {
  if (looks_left > 0 && --looks_left == 0) flag = true;
  return flag;
}
void set_interrupted(bool value) { flag = value; }
void interrupt_at_look(int n) { looks_left = n; }

}  // namespace bbam
