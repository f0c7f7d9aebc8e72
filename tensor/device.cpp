#include "tensor/device.h"

#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <ostream>

#include "tensor/check.h"

namespace bbam {

std::string to_string(Device device) {
  return device.is_cpu() ? "cpu" : "cuda:" + std::to_string(device.index);
}

std::ostream& operator<<(std::ostream& out, Device device) { return out << to_string(device); }

std::vector<Device> available_devices() {
  std::vector<Device> devices{kCpu};
  for (int i = 0; i < cuda::device_count(); ++i) devices.push_back({DeviceKind::kCuda, i});
  return devices;
}

Device parse_device(const std::string& text) {
  const std::string wanted = text == "cuda" ? "cuda:0" : text;
  std::string present;
  for (Device device : available_devices()) {
    if (to_string(device) == wanted) return device;
    present += (present.empty() ? "" : ", ") + to_string(device);
  }
  const std::string why = cuda::why_none();
  fail("device '", text, "' is not here; this program can run on: ", present,
       why.empty() ? "" : "; no CUDA device: ", why);
}

Stream stream_of(Device device) {
  return {device, device.is_cuda() ? cuda::stream(device.index) : nullptr};
}

void synchronize(Device device) {
  if (device.is_cuda()) cuda::synchronize(device.index);
}

void set_threads(int count) {
  check(count >= 1 && count <= 1024, "threads: ", count, " asked for; expected 1 to 1024");
  omp_set_num_threads(count);
}

int threads() { return omp_get_max_threads(); }

namespace runtime {

void* allocate(Device device, size_t bytes) {
  if (device.is_cuda()) return cuda::allocate(device.index, bytes);
  void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  check(memory != nullptr, "out of memory: ", bytes, " bytes on the CPU could not be had");
  return memory;
}

void release(Device device, void* memory) noexcept {
  if (device.is_cuda()) {
    cuda::release(device.index, memory);
  } else {
    std::free(memory);
  }
}

void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (bytes == 0) return;
  // The copy waits for the stream of the device that runs it alone.
  if (from_device.is_cuda() && to_device.is_cuda() && from_device != to_device)
    synchronize(from_device);
  if (to_device.is_cuda()) {
    cuda::copy(to, from, bytes, to_device.index);
  } else if (from_device.is_cuda()) {
    cuda::copy(to, from, bytes, from_device.index);
  } else {
    std::memcpy(to, from, bytes);
  }
}

void fill_bytes(Device device, void* memory, int value, size_t bytes) {
  if (bytes == 0) return;
  if (device.is_cuda()) {
    cuda::fill_bytes(device.index, memory, value, bytes);
  } else {
    std::memset(memory, value, bytes);
  }
}

}  // namespace runtime
}  // namespace bbam
