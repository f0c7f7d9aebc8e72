// Small networks gain nothing from threads, and lose much where these wait for a busy machine.
#pragma once
#include "tensor/device.h"

namespace bbam::test {

// One thread while one lives; results never depend on the number.
class OneThread {
 public:
  OneThread() { set_threads(1); }
  ~OneThread() { set_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = threads();
};

}  // namespace bbam::test
