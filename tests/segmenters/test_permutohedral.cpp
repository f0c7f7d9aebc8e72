#include "segmenters/permutohedral.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "tensor/allocator.h"
#include "tensor/random.h"
#include "tests/close.h"

using namespace bbam;

namespace {

Tensor random_features(int64_t points, int dims, double spread, uint64_t seed) {
  RandomSequence random(seed);
  std::vector<float> features(size_t(points * dims));
  for (float& f : features) f = float(random.uniform(0, spread));
  return Tensor::from(features, {points, dims});
}

Tensor random_values(int64_t points, int64_t channels, uint64_t seed) {
  RandomSequence random(seed);
  std::vector<float> values(size_t(points * channels));
  for (float& v : values) v = float(random.uniform());
  return Tensor::from(values, {points, channels});
}

double largest_difference(const std::vector<float>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

// sum_j exp(-|f_i - f_j|^2 / 2) v_j, all pairs.
std::vector<double> exact_gaussian(const std::vector<float>& features, int dims,
                                   const std::vector<float>& values, int channels) {
  const size_t points = features.size() / size_t(dims);
  std::vector<double> result(points * size_t(channels));
  for (size_t i = 0; i < points; ++i)
    for (size_t j = 0; j < points; ++j) {
      double distance = 0;
      for (size_t k = 0; k < size_t(dims); ++k)
        distance += std::pow(double(features[i * dims + k]) - features[j * dims + k], 2);
      for (size_t c = 0; c < size_t(channels); ++c)
        result[i * channels + c] += std::exp(-distance / 2) * values[j * channels + c];
    }
  return result;
}

// The lattice as the paper draws it, one channel: vertices by their full coordinates in a map, and
// the simplex by sorting (Adams et al. 2010, sections 3.1 to 3.3).
class PlainLattice {
 public:
  using Vertex = std::vector<int>;

  PlainLattice(const std::vector<float>& features, int dims) : dims_(dims) {
    for (size_t i = 0; i < features.size(); i += size_t(dims)) add(&features[i]);
  }
  size_t vertices() const { return touched_.size(); }

  std::vector<double> filter(const std::vector<float>& values) const {
    std::map<Vertex, double> now = touched_;
    for (size_t i = 0; i < corners_.size(); ++i)
      for (const auto& [vertex, weight] : corners_[i]) now[vertex] += weight * values[i];
    for (int direction = 0; direction <= dims_; ++direction) {
      const auto before = now;
      for (auto& [vertex, value] : now)
        for (const int sign : {1, -1}) {
          Vertex neighbour = vertex;
          for (int& x : neighbour) x += sign;
          neighbour[size_t(direction)] -= sign * (dims_ + 1);
          const auto found = before.find(neighbour);
          if (found != before.end()) value += found->second / 2;
        }
    }
    std::vector<double> result;
    for (const auto& corners : corners_) {
      double sum = 0;
      for (const auto& [vertex, weight] : corners) sum += weight * now[vertex];
      result.push_back(sum / (1 + std::pow(2.0, -dims_)));
    }
    return result;
  }

 private:
  void add(const float* feature) {
    // The hyperplane's basis: column k is (1, ..., 1, -k, 0, ...) with k ones, normalised.
    std::vector<double> lifted(size_t(dims_) + 1);
    for (int k = 1; k <= dims_; ++k) {
      const double f = feature[k - 1] * std::sqrt(2.0 / 3) * (dims_ + 1) / std::sqrt(k * (k + 1.0));
      for (int j = 0; j < k; ++j) lifted[size_t(j)] += f;
      lifted[size_t(k)] -= k * f;
    }
    Vertex zero(lifted.size());
    int sum = 0;
    for (size_t j = 0; j < lifted.size(); ++j) {
      zero[j] = (dims_ + 1) * int(std::lround(lifted[j] / (dims_ + 1)));
      sum += zero[j];
    }
    std::vector<size_t> order = by_rest(lifted, zero);
    for (; sum > 0; sum -= dims_ + 1, order = by_rest(lifted, zero))
      zero[order.back()] -= dims_ + 1;
    for (; sum < 0; sum += dims_ + 1, order = by_rest(lifted, zero))
      zero[order.front()] += dims_ + 1;

    std::vector<double> rest;
    for (const size_t j : order) rest.push_back((lifted[j] - zero[j]) / (dims_ + 1));
    std::vector<std::pair<Vertex, double>> corners;
    for (int r = 0; r <= dims_; ++r) {
      Vertex vertex = zero;
      for (int& x : vertex) x += r;
      for (int k = dims_ + 1 - r; k <= dims_; ++k) vertex[order[size_t(k)]] -= dims_ + 1;
      const double weight = r == 0 ? 1 - rest[0] + rest.back()
                                   : rest[size_t(dims_ - r)] - rest[size_t(dims_ - r + 1)];
      touched_[vertex] = 0;
      corners.emplace_back(vertex, weight);
    }
    corners_.push_back(corners);
  }
  // The coordinates, from the largest distance above `zero` to the smallest.
  static std::vector<size_t> by_rest(const std::vector<double>& lifted, const Vertex& zero) {
    std::vector<size_t> order(lifted.size());
    for (size_t j = 0; j < order.size(); ++j) order[j] = j;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return lifted[a] - zero[a] > lifted[b] - zero[b]; });
    return order;
  }

  int dims_;
  std::vector<std::vector<std::pair<Vertex, double>>> corners_;
  std::map<Vertex, double> touched_;
};

}  // namespace

TEST_CASE("permutohedral: agrees with a plain lattice kept in a map") {
  const MemoryAudit audit;
  for (const Device device : available_devices())
    for (const int dims : {2, 5})
      for (const double spread : {0.5, 4.0, 30.0}) {
        CAPTURE(dims);
        CAPTURE(spread);
        const Tensor features = random_features(700, dims, spread, 11);
        const Tensor values = random_values(700, 1, 12);
        const PlainLattice plain(features.to_vector<float>(), dims);
        const PermutohedralLattice lattice(features.to(device));
        CHECK(lattice.vertices() == int64_t(plain.vertices()));
        const auto expected = plain.filter(values.to_vector<float>());
        const double scale = *std::max_element(expected.begin(), expected.end());
        const auto result = lattice.filter(values.to(device)).to_vector<float>();
        CHECK(largest_difference(result, expected) < 2e-5 * scale);
      }
}

TEST_CASE("permutohedral: approximates the Gaussian filter") {
  // Weighted means (the filter's constant cancels) of values that vary with position, against all
  // pairs in double. The lattice's kernel is a piecewise polynomial of nearly Gaussian shape: a few
  // percent of the values' range for densely sampled features.
  struct Case {
    int dims;
    double spread, worst, mean;
  };
  for (const Case& c : {Case{2, 6.0, 0.06, 0.015}, Case{5, 2.0, 0.04, 0.01}}) {
    CAPTURE(c.dims);
    const Tensor features = random_features(3000, c.dims, c.spread, 21);
    const auto f = features.to_vector<float>();
    std::vector<float> values;
    for (int64_t i = 0; i < 3000; ++i) {
      values.push_back(0.5f + 0.5f * std::sin(2 * f[size_t(i * c.dims)]));
      values.push_back(1);
    }
    const auto exact = exact_gaussian(f, c.dims, values, 2);
    for (const Device device : available_devices()) {
      const PermutohedralLattice lattice(features.to(device));
      const auto found = lattice.filter(Tensor::from(values, {3000, 2}, device)).to_vector<float>();
      double worst = 0, sum = 0;
      for (size_t i = 0; i < 6000; i += 2) {
        const double error = std::abs(found[i] / found[i + 1] - exact[i] / exact[i + 1]);
        worst = std::max(worst, error);
        sum += error;
      }
      CAPTURE(to_string(device));
      CAPTURE(worst);
      CAPTURE(sum / 3000);
      CHECK(worst < c.worst);
      CHECK(sum / 3000 < c.mean);
    }
  }
}

TEST_CASE("permutohedral: symmetric normalisation divides rows and columns by roots of K 1") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const int64_t points = 400;
    const Tensor features = random_features(points, 5, 3, 31).to(device);
    const Tensor values = random_values(points, 3, 32).to(device);
    const PermutohedralLattice plain(features);
    const PermutohedralLattice normalised(features, Normalisation::kSymmetric);
    const auto sums =
        plain.filter(Tensor::full({points, 1}, 1, DType::kF32, device)).to_vector<float>();
    auto scaled = values.to_vector<float>();
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] /= std::sqrt(sums[i / 3]);
    const auto filtered =
        plain.filter(Tensor::from(scaled, {points, 3}, device)).to_vector<float>();
    std::vector<double> expected;
    for (size_t i = 0; i < filtered.size(); ++i)
      expected.push_back(filtered[i] / std::sqrt(sums[i / 3]));
    CHECK(largest_difference(normalised.filter(values).to_vector<float>(), expected) < 1e-5);
  }
}

TEST_CASE("permutohedral: any number of channels, each as if alone") {
  const int64_t points = 300;
  for (const Device device : available_devices()) {
    const PermutohedralLattice lattice(random_features(points, 5, 2, 41).to(device));
    for (const int64_t channels : {1, 2, 3, 4, 5, 7, 8, 9, 16, 20, 81}) {
      CAPTURE(channels);
      const auto values = random_values(points, channels, 42).to_vector<float>();
      const auto all = lattice.filter(Tensor::from(values, {points, channels}, device));
      const auto together = all.to_vector<float>();
      for (const int64_t c : {int64_t(0), channels / 2, channels - 1}) {
        std::vector<float> one;
        for (int64_t i = 0; i < points; ++i) one.push_back(values[size_t(i * channels + c)]);
        const auto alone =
            lattice.filter(Tensor::from(one, {points, 1}, device)).to_vector<float>();
        for (int64_t i = 0; i < points; ++i)
          REQUIRE(together[size_t(i * channels + c)] == test::close_to(alone[size_t(i)]));
      }
    }
    CHECK(lattice.filter(Tensor::empty({points, 0}, DType::kF32, device)).size() == 0);
  }
}

TEST_CASE("permutohedral: the same bytes for any number of threads") {
  const int before = threads();
  const Tensor features = random_features(20000, 5, 6, 51);
  const Tensor values = random_values(20000, 5, 52);
  std::array<std::vector<float>, 3> results;
  for (int count = 1; count <= 3; ++count) {
    set_threads(count);
    const PermutohedralLattice lattice(features, Normalisation::kSymmetric);
    results[size_t(count - 1)] = lattice.filter(values).to_vector<float>();
  }
  set_threads(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("permutohedral: equal points share their corners; far points do not meet") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const PermutohedralLattice one(Tensor::zeros({50, 2}, DType::kF32, device));
    CHECK(one.vertices() == 3);
    const Tensor ones = Tensor::full({50, 1}, 1, DType::kF32, device);
    const auto sums = one.filter(ones).to_vector<float>();
    for (const float sum : sums) CHECK(sum == test::close_to(sums[0]));
  }

  const PermutohedralLattice two(Tensor::from<float>({0, 0, 1000, 1000}, {2, 2}));
  CHECK(two.vertices() == 6);
  const auto apart = two.filter(Tensor::from<float>({1, 0}, {2, 1})).to_vector<float>();
  CHECK(apart[0] > 0);
  CHECK(apart[1] == 0);
}

TEST_CASE("permutohedral: wrong features and values are named") {
  CHECK_THROWS_WITH_AS(PermutohedralLattice(Tensor::zeros({0, 2})), "lattice: there are no points",
                       Error);
  CHECK_THROWS_WITH_AS(PermutohedralLattice(Tensor::zeros({4, 3})),
                       doctest::Contains("expected f32 (N, 2) or (N, 5)"), Error);
  for (const float bad : {NAN, INFINITY, -INFINITY})
    CHECK_THROWS_WITH_AS(PermutohedralLattice(Tensor::from<float>({0, 0, 1, bad}, {2, 2})),
                         "lattice: feature 1 has values that are not finite", Error);
  for (const float far : {1e12f, 5e8f, -5e8f})
    CHECK_THROWS_WITH_AS(PermutohedralLattice(Tensor::from<float>({0, 0, far, far}, {2, 2})),
                         doctest::Contains("too many cells"), Error);
  const PermutohedralLattice lattice(Tensor::zeros({4, 2}));
  CHECK_THROWS_AS(lattice.filter(Tensor::zeros({5, 1})), Error);
}
