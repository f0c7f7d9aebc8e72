#include <doctest/doctest.h>

#include <cmath>

#include "tensor/allocator.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include "tests/audit.h"

using namespace bbam;

TEST_CASE("tensor: shapes, sharing and copies") {
  for (Device device : available_devices()) {
    Tensor a = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {3, 2}, device);
    CHECK(a.dim(-1) == 2);
    CHECK(a.rows(1, 3).to_vector<float>() == std::vector<float>{2, 3, 4, 5});
    CHECK(a.reshape({2, -1}).shape() == Shape{2, 3});
    CHECK(a.rows(1, 2).shares_storage_with(a));
    Tensor b = a.clone();
    b.fill(7);
    CHECK(a.to_vector<float>()[5] == 5);
    CHECK(b.to(kCpu).to_vector<float>()[5] == 7);
    CHECK(a.cast(DType::kI64).to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2, 3, 4, 5});
  }
}

TEST_CASE("tensor: empty tensors and wrong use") {
  const Tensor none = Tensor::empty({0, 4});
  CHECK(none.size() == 0);
  CHECK(none.to_vector<float>().empty());
  CHECK_THROWS_WITH_AS(none.data<double>(), "a f32 tensor was used as f64", Error);
  CHECK_THROWS_AS(Tensor::empty({2, 3}).reshape({4, -1}), Error);
  CHECK_THROWS_AS(Tensor::empty({2, 3}).rows(1, 4), Error);
}

TEST_CASE("tensor: a write changes the identity of the numbers") {
  Tensor a = Tensor::zeros({4});
  const auto before = a.identity();
  CHECK(a.identity() == before);
  a.fill(1);
  CHECK(a.identity() != before);
}

TEST_CASE("allocator: under audit memory is poisoned and lies between guards of NaN") {
  const MemoryAudit audit;
  for (DType dtype : {DType::kF32, DType::kF64}) {
    const Tensor a = Tensor::empty({99}, dtype);
    dispatch_float(dtype, [&](auto t) {
      const auto* x = a.data<decltype(t)>();
      for (int64_t i : {-8, -1, 0, 98, 99, 106}) CHECK(std::isnan(x[i]));
    });
    CHECK(reinterpret_cast<uintptr_t>(a.raw()) % 64 == 0);
  }
}

TEST_CASE("allocator: under audit a write outside a block is seen when it is freed") {
  const MemoryAudit audit;
  const auto violations_of = [](int64_t size, int64_t place) {
    const int64_t before = MemoryAudit::violations();
    {
      Tensor a = Tensor::empty({size}, DType::kU8);
      a.mutable_data<uint8_t>()[place] = 1;
    }
    return MemoryAudit::violations() - before;
  };
  for (int64_t size : {0, 1, 3, 100, 4096}) {
    INFO(size, " bytes");
    if (size > 0) CHECK(violations_of(size, 0) == 0);
    if (size > 0) CHECK(violations_of(size, size - 1) == 0);
    for (int64_t outside : {int64_t(-1), int64_t(-1024), size, size + 1023}) {
      test::expect_violations(1);
      CHECK(violations_of(size, outside) == 1);
    }
  }
}

TEST_CASE("random: uniform numbers fill [0, 1) evenly and do not depend on order") {
  const Random random(3, 5);
  double sum = 0;
  std::vector<int> histogram(10);
  for (uint64_t k = 0; k < 100000; ++k) {
    const double u = random.uniform(k);
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    ++histogram[size_t(10 * u)];
  }
  CHECK(std::abs(sum / 100000 - 0.5) < 0.005);
  for (int count : histogram) CHECK(std::abs(count - 10000) < 500);
  CHECK(random.bits(7) == Random(3, 5).bits(7));
  CHECK(random.bits(7) != Random(3, 6).bits(7));
}

TEST_CASE("device: an absent device is named with those present") {
  CHECK_THROWS_WITH_AS(parse_device("cuda:77"), doctest::Contains("this program can run on: cpu"),
                       Error);
  CHECK(parse_device("cpu") == kCpu);
}
