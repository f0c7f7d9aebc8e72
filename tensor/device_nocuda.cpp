// The CUDA half of device.h in a program built without CUDA: no devices, and calls that say so.
#include "tensor/check.h"
#include "tensor/device.h"

namespace bbam::cuda {
namespace {
[[noreturn]] void refuse() {
  fail("this program was built without CUDA; build it with make CUDA=1");
}
}  // namespace

int device_count() { return 0; }
std::string why_none() { return "this program was built without CUDA"; }
std::string describe(int) { refuse(); }
void* stream(int) { refuse(); }
void synchronize(int) { refuse(); }
void* allocate(int, size_t) { refuse(); }
size_t memory_bytes(int) { refuse(); }
void release(int, void*) noexcept {}
void copy(void*, const void*, size_t, int) { refuse(); }
void fill_bytes(int, void*, int, size_t) { refuse(); }
std::string library_versions() { return ""; }

}  // namespace bbam::cuda
