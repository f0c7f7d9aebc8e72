// Ctrl-C: long work stops at its next step, after saving what there is.
#pragma once
#include "tensor/check.h"

namespace bbam {

// The message says how to go on. The program exits with status 130.
struct Interrupted : Error {
  using Error::Error;
};

// From now on the first SIGINT or SIGTERM sets a flag; the second ends the process at once.
void catch_interrupts();
bool interrupted();
// For tests, and for a process that goes on afterwards.
void set_interrupted(bool value);
// For tests: as if Ctrl-C were pressed just before the n-th call of interrupted() from now.
void interrupt_at_look(int n);

// Throws Interrupted with the joined parts if the flag is set.
template <class... Parts>
void stop_if_interrupted(const Parts&... parts) {
  if (interrupted()) throw Interrupted(join(parts...));
}

}  // namespace bbam
