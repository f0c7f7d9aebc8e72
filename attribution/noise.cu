#include "attribution/noise.h"

#include "tensor/math.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

namespace bbam {
namespace {

// The sum is rounded once. Box and Muller's normal, as normal_from() of tensor/random.h has it for
// the host alone.
template <class T>
struct AddNoise {
  const T* image;
  T* copies;
  int64_t size, first;
  double sigma;
  Random random;
  HD void operator()(int64_t i) const {
    constexpr double kTwoPi = 6.283185307179586;
    const auto k = uint64_t(2 * (first * size + i));
    const double u0 = random.uniform(k), u1 = random.uniform(k + 1);
    const double normal = std::sqrt(-2 * std::log(1 - u0)) * std::cos(kTwoPi * u1);
    copies[i] = T(double(image[i % size]) + sigma * normal);
  }
};

}  // namespace

Tensor noisy_copies(const Tensor& image, int64_t first, int64_t count, double sigma,
                    uint64_t seed) {
  check_shape(image, {1, -1, -1, -1}, "noisy_copies: image");
  check(first >= 0 && count >= 1 && sigma >= 0, "noisy_copies: ", count, " copies from the ", first,
        ". on, sigma ", sigma, "; expected 1 or more, and 0 or more");
  Tensor copies = Tensor::empty({count, image.dim(1), image.dim(2), image.dim(3)}, image.dtype(),
                                image.device());
  dispatch_float(image.dtype(), [&](auto t) {
    using T = decltype(t);
    parallel_for("noisy_copies", image.stream(), copies.size(),
                 AddNoise<T>{image.data<T>(), copies.mutable_data<T>(), image.size(), first, sigma,
                             Random(seed, 41)},
                 0, int64_t(copies.bytes()));
  });
  return copies;
}

}  // namespace bbam
