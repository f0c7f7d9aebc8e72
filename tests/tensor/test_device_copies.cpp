#include <doctest/doctest.h>

#include "tensor/tensor.h"

using namespace bbam;

// Far more than a stream writes before the next one reads: a copy that does not wait finds old
// numbers.
TEST_CASE("device: what was just written arrives whole on every other device") {
  constexpr int64_t kCount = 1 << 24;
  for (Device from : available_devices())
    for (Device to : available_devices()) {
      INFO(to_string(from), " to ", to_string(to));
      Tensor source = Tensor::zeros({kCount}, DType::kF32, from);
      for (int value = 1; value <= 3; ++value) source.fill(value);
      const auto arrived = source.to(to).to_vector<float>();
      bool is_whole = true;
      for (float value : arrived) is_whole &= value == 3;
      CHECK(is_whole);
    }
}
