// Devices, streams and the handful of run-time calls that differ between them.
//
// One stream per device: work on a device is ordered, so freed memory can be handed out again at
// once. The CPU "stream" is synchronous.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#define HD __host__ __device__
#else
#define HD
#endif

namespace bbam {

enum class DeviceKind : uint8_t { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;

  bool is_cpu() const { return kind == DeviceKind::kCpu; }
  bool is_cuda() const { return kind == DeviceKind::kCuda; }
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};

// "cpu", "cuda" or "cuda:K"; throws Error with the devices present for anything else.
Device parse_device(const std::string& text);
std::string to_string(Device device);
std::ostream& operator<<(std::ostream& out, Device device);

// What this process can run on: the CPU first, then each CUDA device (none without CUDA=1).
std::vector<Device> available_devices();

struct Stream {
  Device device;
  void* handle = nullptr;  // cudaStream_t on CUDA
};

Stream stream_of(Device device);
// Waits until all work queued on the device is done; no-op on the CPU.
void synchronize(Device device);

// Worker threads of the CPU back end; results never depend on the number (DESIGN decision 6).
void set_threads(int count);
int threads();

// Raw device services; only the allocator and Tensor call them.
namespace runtime {
void* allocate(Device device, size_t bytes);  // throws Error naming the bytes asked for
void release(Device device, void* memory) noexcept;
void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
void fill_bytes(Device device, void* memory, int value, size_t bytes);
}  // namespace runtime

// The CUDA half of the above: device_cuda.cpp, or device_nocuda.cpp whose calls throw.
namespace cuda {
int device_count();
std::string why_none();  // why there are no devices; "" where nothing is known to be wrong
std::string describe(int index);
void* stream(int index);
void synchronize(int index);
void* allocate(int index, size_t bytes);
size_t memory_bytes(int index);
void release(int index, void* memory) noexcept;
void copy(void* to, const void* from, size_t bytes, int index);  // either side may be host memory
void fill_bytes(int index, void* memory, int value, size_t bytes);
std::string library_versions();
}  // namespace cuda

}  // namespace bbam
