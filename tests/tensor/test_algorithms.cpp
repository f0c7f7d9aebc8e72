#include "tensor/algorithms.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/allocator.h"
#include "tensor/random.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Keys with many ties.
Tensor tied_keys(int64_t count, uint64_t seed) {
  RandomSequence random(seed);
  std::vector<double> keys(static_cast<size_t>(count));
  for (double& key : keys) key = double(random.below(count / 3 + 1)) / 4 - 3;
  return Tensor::from(keys, {count});
}

// Insertion sort: moves each index forward past the keys that it must precede.
std::vector<double> sorted_indices(const std::vector<double>& keys, bool descending) {
  std::vector<double> order;
  for (size_t i = 0; i < keys.size(); ++i) {
    size_t at = order.size();
    const auto precedes = [&](double other) {
      const double before = keys[size_t(other)];
      return descending ? keys[i] > before : keys[i] < before;
    };
    while (at > 0 && precedes(order[at - 1])) --at;
    order.insert(order.begin() + std::ptrdiff_t(at), double(i));
  }
  return order;
}

OpCase argsort_case(bool descending) {
  OpCase op_case{.op = descending ? "argsort descending" : "argsort", .examples = {}};
  for (int64_t count : {0, 1, 2, 33, 500})
    op_case.examples.push_back({join(count, " keys"),
                                {tied_keys(count, uint64_t(count))},
                                [=](const std::vector<Variable>& v) {
                                  return Variable(
                                      argsort(v[0].value(), descending).cast(v[0].dtype()));
                                },
                                [=](const std::vector<Tensor>& t) {
                                  return sorted_indices(t[0].to_vector<double>(), descending);
                                }});
  op_case.has_gradient = false;
  return op_case;
}

template <class T>
std::vector<int64_t> order_of(const std::vector<T>& keys, Device device, bool descending) {
  const Tensor on_device = Tensor::from(keys, {int64_t(keys.size())}, device);
  return argsort(on_device, descending).to_vector<int64_t>();
}

}  // namespace

TEST_CASE("op argsort") { run(argsort_case(false)); }
TEST_CASE("op argsort descending") { run(argsort_case(true)); }

TEST_CASE("op top_k") {
  OpCase op_case{.op = "top_k", .examples = {}};
  for (int64_t k : {0, 1, 7, 40, 100})
    op_case.examples.push_back({join("the largest ", k, " of 40"),
                                {tied_keys(40, 5)},
                                [=](const std::vector<Variable>& v) {
                                  return Variable(top_k(v[0].value(), k).cast(v[0].dtype()));
                                },
                                [=](const std::vector<Tensor>& t) {
                                  auto order = sorted_indices(t[0].to_vector<double>(), true);
                                  order.resize(size_t(std::min<int64_t>(k, 40)));
                                  return order;
                                }});
  op_case.has_gradient = false;
  run(op_case);
}

TEST_CASE("algorithms: argsort puts NaN last in either direction and takes -0 as 0") {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const std::vector<double> keys{nan, 1, -0.0, inf, 0.0, -nan, -inf, -2, -0.0};
  const std::vector<float> floats(keys.begin(), keys.end());
  const std::vector<int64_t> up{6, 7, 2, 4, 8, 1, 3, 0, 5}, down{3, 1, 2, 4, 8, 7, 6, 0, 5};
  for (Device device : available_devices()) {
    CHECK(order_of(keys, device, false) == up);
    CHECK(order_of(keys, device, true) == down);
    CHECK(order_of(floats, device, false) == up);
    CHECK(order_of(floats, device, true) == down);
  }
}

TEST_CASE("algorithms: argsort of integers keeps ties in order") {
  const int64_t low = std::numeric_limits<int64_t>::min();
  const int64_t high = std::numeric_limits<int64_t>::max();
  const std::vector<int64_t> keys{3, -1, low, 3, high, -1, 0};
  for (Device device : available_devices()) {
    CHECK(order_of(keys, device, false) == std::vector<int64_t>{2, 1, 5, 6, 0, 3, 4});
    CHECK(order_of(keys, device, true) == std::vector<int64_t>{4, 0, 3, 6, 1, 5, 2});
  }
}

TEST_CASE("algorithms: argsort of 100,000 keys is the stable sort, for any number of threads") {
  const Tensor keys = tied_keys(100000, 9);
  const std::vector<double> values = keys.to_vector<double>();
  std::vector<int64_t> expected(values.size());
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](int64_t a, int64_t b) { return values[size_t(a)] < values[size_t(b)]; });
  const int before = threads();
  for (Device device : available_devices())
    for (int count : {1, 2, 3}) {
      set_threads(count);
      CHECK(argsort(keys.to(device)).to_vector<int64_t>() == expected);
      CHECK(argsort(keys.cast(DType::kF32).to(device)).to_vector<int64_t>() == expected);
    }
  set_threads(before);
}

TEST_CASE("algorithms: sort_rows is the stable sort of each row, for any number of threads") {
  const int64_t rows = 3;
  const Random random(13);
  const int before = threads();
  for (const Device device : available_devices())
    for (const int bits : {0, 1, 7, 8, 9, 40, 60})
      for (const int64_t columns : {0, 1, 1000}) {
        CAPTURE(bits);
        CAPTURE(columns);
        std::vector<int64_t> keys;
        for (int64_t i = 0; i < rows * columns; ++i)
          keys.push_back((i / columns << bits) +
                         int64_t(random.bits(uint64_t(i)) % (uint64_t(1) << bits)));
        std::vector<int32_t> expected(keys.size());
        auto sorted = keys;
        for (int64_t r = 0; r < rows; ++r) {
          const auto row = expected.begin() + r * columns, end = row + columns;
          const int64_t* of_row = keys.data() + r * columns;
          std::iota(row, end, 0);
          std::stable_sort(row, end, [&](int32_t a, int32_t b) { return of_row[a] < of_row[b]; });
          std::sort(sorted.begin() + r * columns, sorted.begin() + (r + 1) * columns);
        }
        for (const int count : {1, 2}) {
          set_threads(count);
          Tensor table = Tensor::from(keys, {rows, columns}, device);
          CHECK(sort_rows(table, bits).to_vector<int32_t>() == expected);
          CHECK(table.to_vector<int64_t>() == sorted);
        }
      }
  set_threads(before);
}

TEST_CASE("algorithms: scans") {
  for (Device device : available_devices()) {
    const Tensor counts = Tensor::from<int32_t>({3, 0, 2, 5}, {4}, device);
    CHECK(inclusive_scan(counts).to_vector<int32_t>() == std::vector<int32_t>{3, 3, 5, 10});
    CHECK(inclusive_scan(counts.rows(0, 0)).size() == 0);
    const Tensor many = Tensor::full({5000}, 3e9, DType::kI64, device);
    CHECK(inclusive_scan(many).rows(4999, 5000).item<int64_t>() == 15000000000000);
  }
  CHECK_THROWS_WITH_AS(inclusive_scan(Tensor::zeros({3})), doctest::Contains("i32 or i64"), Error);
}

TEST_CASE("algorithms: nonzero and take_rows") {
  for (Device device : available_devices()) {
    const MemoryAudit audit;
    const Tensor mask = Tensor::from<uint8_t>({0, 1, 0, 0, 7, 1}, {6}, device);
    const Tensor index = nonzero(mask);
    CHECK(index.to_vector<int64_t>() == std::vector<int64_t>{1, 4, 5});
    CHECK(nonzero(Tensor::zeros({4}, DType::kU8, device)).size() == 0);
    CHECK(nonzero(mask.rows(0, 0)).size() == 0);

    std::vector<int32_t> values(12);
    std::iota(values.begin(), values.end(), 0);
    const Tensor x = Tensor::from(values, {6, 2}, device);
    CHECK(take_rows(x, index).to_vector<int32_t>() == std::vector<int32_t>{2, 3, 8, 9, 10, 11});
    CHECK(take_rows(mask, index).to_vector<uint8_t>() == std::vector<uint8_t>{1, 7, 1});
    const Tensor bytes = Tensor::from<uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3}, device);
    const Tensor second_twice = Tensor::from<int64_t>({1, 1}, {2}, device);
    CHECK(take_rows(bytes, second_twice).to_vector<uint8_t>() ==
          std::vector<uint8_t>{4, 5, 6, 4, 5, 6});
    CHECK(take_rows(x, index.rows(0, 0)).shape() == Shape{0, 2});
    CHECK(take_rows(x.cast(DType::kF64), index).to_vector<double>()[5] == 11);
    for (int64_t outside : {-1, 6})
      CHECK_THROWS_WITH_AS(take_rows(x, Tensor::from<int64_t>({0, outside}, {2}, device)),
                           doctest::Contains("outside the 6 rows"), Error);
  }
}
