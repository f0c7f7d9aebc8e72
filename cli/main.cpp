#include <unistd.h>

#include <iostream>

#include "cli/command.h"
#include "cli/interrupt.h"

int main(int argc, char** argv) {
  bbam::catch_interrupts();
  return bbam::run_program({argv + 1, argv + argc}, std::cout, std::cerr, isatty(STDERR_FILENO));
}
