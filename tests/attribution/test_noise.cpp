#include "attribution/noise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tensor/random.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

TEST_CASE("noise: it is normal, independent, and decided by seed, copy and place") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const Tensor image = random_tensor({1, 40, 50, 3}, 5, -100, 100).to(device);
    const auto clean = image.to_vector<double>();
    const auto noisy = noisy_copies(image, 0, 3, 2, 7).to_vector<double>();
    const Random random(7, 41);
    double sum = 0, squares = 0, neighbours = 0, copies = 0, before = 0;
    for (size_t i = 0; i < noisy.size(); ++i) {
      const double noise = (noisy[i] - clean[i % clean.size()]) / 2;
      const double expected = normal_from(random.uniform(2 * i), random.uniform(2 * i + 1));
      REQUIRE(std::abs(noise - expected) <= 1e-11);
      sum += noise;
      squares += noise * noise;
      neighbours += noise * before;
      before = noise;
      if (i >= clean.size())
        copies += noise * (noisy[i - clean.size()] - clean[i % clean.size()]) / 2;
    }
    const auto count = double(noisy.size());
    CHECK(std::abs(sum / count) < 0.03);
    CHECK(std::abs(squares / count - 1) < 0.04);
    CHECK(std::abs(neighbours / count) < 0.03);
    CHECK(std::abs(copies / count) < 0.03);
    const auto third = noisy_copies(image, 2, 1, 2, 7).to_vector<double>();
    CHECK(std::equal(third.begin(), third.end(), noisy.begin() + int64_t(2 * clean.size())));
    CHECK(noisy_copies(image, 0, 1, 0, 7).to_vector<double>() == clean);
  }
  CHECK_THROWS_AS(noisy_copies(Tensor::zeros({2, 3, 3, 3}), 0, 1, 1, 0), Error);
  CHECK_THROWS_AS(noisy_copies(Tensor::zeros({1, 3, 3, 3}), 0, 0, 1, 0), Error);
  CHECK_THROWS_AS(noisy_copies(Tensor::zeros({1, 3, 3, 3}), 0, 1, -1, 0), Error);
}
