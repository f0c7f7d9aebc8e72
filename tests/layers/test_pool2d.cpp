#include <doctest/doctest.h>

#include <cmath>

#include "layers/pool2d.h"
#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

enum class Kind { kMax, kAverage };

// Walks over a padded copy of the image; knows nothing of window arithmetic.
std::vector<double> pool_on_padded_copy(const Tensor& x, const Pool2dSpec& s, Kind kind,
                                        const Shape& result) {
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const auto values = x.to_vector<double>();
  std::vector<double> y;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t p = 0; p < result[1]; ++p)
      for (int64_t q = 0; q < result[2]; ++q)
        for (int64_t k = 0; k < c; ++k) {
          double best = -INFINITY, total = 0;
          int inside = 0, in_padding = 0;
          for (int64_t a = 0; a < s.kernel; ++a)
            for (int64_t b = 0; b < s.kernel; ++b) {
              const int64_t row = p * s.stride + a, col = q * s.stride + b;  // of the padded image
              if (row >= h + 2 * s.padding || col >= w + 2 * s.padding) continue;
              const int64_t i = row - s.padding, j = col - s.padding;
              if (i < 0 || j < 0 || i >= h || j >= w) {
                ++in_padding;
                continue;
              }
              const double v = values[size_t(((n * h + i) * w + j) * c + k)];
              best = std::max(best, v);
              total += v;
              ++inside;
            }
          const int count = s.count_include_pad ? inside + in_padding : inside;
          y.push_back(kind == Kind::kMax ? best : total / count);
        }
  return y;
}

Example example(const std::string& what, Shape shape, Shape result, Pool2dSpec spec, Kind kind) {
  return {
      what,
      {distinct_tensor(shape, 1)},
      [=](const std::vector<Variable>& v) {
        return kind == Kind::kMax ? max_pool2d(v[0], spec) : avg_pool2d(v[0], spec);
      },
      [=](const std::vector<Tensor>& v) { return pool_on_padded_copy(v[0], spec, kind, result); },
      result};
}

std::vector<Example> examples(Kind kind) {
  return {
      example("2x2", {2, 4, 6, 3}, {2, 2, 3, 3}, {}, kind),
      example("3x3 stride 2, padded", {1, 7, 9, 2}, {1, 4, 5, 2}, {.kernel = 3, .padding = 1},
              kind),
      example("ceil mode", {1, 6, 8, 2}, {1, 4, 5, 2},
              {.kernel = 3, .padding = 1, .ceil_mode = true}, kind),
      example("ceil mode, last window begins in the padding", {1, 5, 5, 1}, {1, 2, 2, 1},
              {.kernel = 2, .stride = 3, .padding = 1, .ceil_mode = true}, kind),
      example("padding not counted", {1, 5, 4, 2}, {1, 5, 4, 2},
              {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false}, kind),
      example("one pixel", {1, 1, 1, 5}, {1, 1, 1, 5}, {.kernel = 1, .stride = 1}, kind),
      example("stride over the kernel", {1, 7, 5, 2}, {1, 2, 2, 2}, {.kernel = 2, .stride = 3},
              kind),
      example("no images", {0, 4, 4, 2}, {0, 2, 2, 2}, {}, kind),
      example("smaller than the window", {1, 1, 3, 2}, {1, 0, 1, 2}, {}, kind),
      example("smaller than the window, ceil mode", {1, 1, 3, 2}, {1, 1, 2, 2}, {.ceil_mode = true},
              kind),
      example("many channels", {1, 3, 4, 70}, {1, 2, 2, 70}, {.kernel = 3, .padding = 1}, kind)};
}

}  // namespace

TEST_CASE("op max_pool2d") { run({"max_pool2d", examples(Kind::kMax)}); }
TEST_CASE("op avg_pool2d") { run({"avg_pool2d", examples(Kind::kAverage)}); }

TEST_CASE("op global_avg_pool") {
  const auto mean_of_positions = [](const std::vector<Tensor>& v) {
    const int64_t positions = v[0].dim(1) * v[0].dim(2), c = v[0].dim(3);
    const auto x = v[0].to_vector<double>();
    std::vector<double> y(size_t(v[0].dim(0) * c), 0.0);
    for (size_t i = 0; i < x.size(); ++i)
      y[i / size_t(positions * c) * size_t(c) + i % size_t(c)] += x[i] / double(positions);
    return y;
  };
  const auto op = [](const std::vector<Variable>& v) { return global_avg_pool(v[0]); };
  run({"global_avg_pool",
       {{"two images", {random_tensor({2, 3, 5, 4}, 1)}, op, mean_of_positions, Shape{2, 4}},
        {"one pixel", {random_tensor({1, 1, 1, 7}, 2)}, op, mean_of_positions, Shape{1, 7}},
        {"no images", {random_tensor({0, 3, 3, 2}, 3)}, op, mean_of_positions, Shape{0, 2}}}});
}

TEST_CASE("pool2d: extents are PyTorch's, in floor and in ceil mode") {
  const Pool2dSpec floor{.kernel = 3, .padding = 1},
      ceil{.kernel = 3, .padding = 1, .ceil_mode = true};
  CHECK(pooled_extent(112, floor) == 56);
  CHECK(pooled_extent(161, floor) == 81);
  CHECK(pooled_extent(120, floor) == 60);
  CHECK(pooled_extent(120, ceil) == 61);  // 240 -> 120 -> 61, as in Caffe
  CHECK(pooled_extent(5, {.kernel = 2, .stride = 3, .padding = 1, .ceil_mode = true}) == 2);
  CHECK(pooled_extent(1, {.ceil_mode = true}) == 1);  // the only window sticks out
  CHECK(pooled_extent(1, {.kernel = 3, .ceil_mode = true}) == 0);
  CHECK(pooled_extent(0, {.kernel = 2, .padding = 1}) == 0);
}

TEST_CASE("pool2d: values and gradients equal PyTorch's") {
  const SafetensorsFile file = golden("pool2d");
  const auto& t = file.tensors;
  const auto equal = [](const Tensor& ours, const Tensor& theirs) {
    const auto a = ours.to_vector<double>(), b = theirs.to_vector<double>();
    REQUIRE(ours.shape() == theirs.shape());
    for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == close_to(b[i], 1e-12));
  };
  const auto compare = [&](const std::string& key, const char* image, const Pool2dSpec& spec) {
    for (Kind kind : {Kind::kMax, Kind::kAverage}) {
      const std::string name = key + (kind == Kind::kMax ? ".max" : ".average");
      INFO(name);
      Variable x(t.at(image), true);
      const Variable y = kind == Kind::kMax ? max_pool2d(x, spec) : avg_pool2d(x, spec);
      std::vector<double> dy(size_t(y.value().size()));
      for (size_t i = 0; i < dy.size(); ++i) dy[i] = std::cos(double(i));
      backward(y, Tensor::from(dy, y.shape()));
      equal(y.value(), t.at(name + ".y"));
      equal(x.grad(), t.at(name + ".dx"));
    }
  };
  const std::vector<int64_t> cases = t.at("cases").to_vector<int64_t>();
  for (size_t k = 0; k < cases.size() / 5; ++k) {
    const int64_t* c = cases.data() + 5 * k;
    compare(std::to_string(k), "x", {int(c[0]), int(c[1]), int(c[2]), c[3] != 0, c[4] != 0});
  }
  compare("thin", "thin", {.ceil_mode = true});
  // The gradient of a maximum that occurs more than once goes to the first, also among zeros.
  compare("ties", "ties", {.kernel = 3, .padding = 1});
  compare("pairs", "ties", {});
}

TEST_CASE("max_pool2d: a NaN wins wherever it stands, as in PyTorch") {
  for (size_t place = 0; place < 4; ++place) {
    std::vector<float> values{1, 2, 3, 4};
    values[place] = NAN;
    const Variable y = max_pool2d(Variable(Tensor::from(values, {1, 2, 2, 1})), {});
    CHECK(std::isnan(y.value().item<float>()));
  }
}

TEST_CASE("pool2d: the same bytes for any number of threads") {
  const std::vector<Tensor> x{random_tensor({2, 31, 40, 17}, 4)};
  const Pool2dSpec spec{.kernel = 3, .padding = 1};
  check_same_bytes([&](const auto& v) { return max_pool2d(v[0], spec); }, x);
  check_same_bytes([&](const auto& v) { return avg_pool2d(v[0], spec); }, x);
  check_same_bytes([&](const auto& v) { return global_avg_pool(v[0]); }, x);
}

TEST_CASE("pool2d: a padding of more than half the kernel is refused") {
  const Variable x(Tensor::zeros({1, 4, 4, 1}));
  CHECK_THROWS_AS(max_pool2d(x, {.kernel = 2, .padding = 2}), Error);
}
