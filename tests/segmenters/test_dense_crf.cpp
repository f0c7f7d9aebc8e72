#include "segmenters/dense_crf.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "datasets/image.h"
#include "tensor/allocator.h"
#include "tensor/random.h"
#include "tests/close.h"
#include "tests/golden.h"
#include "tests/shared.h"

using namespace bbam;

namespace {

// As in tests/golden/make_crf.py: low around a centre of each label, with noise.
Tensor unary_energies(int64_t height, int64_t width, int64_t labels) {
  const Random centre(7, 1), noise(7, 2);
  std::vector<float> energies;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t l = 0; l < labels; ++l) {
        const int64_t dx = x - int64_t(centre.bits(uint64_t(2 * l)) % uint64_t(width));
        const int64_t dy = y - int64_t(centre.bits(uint64_t(2 * l + 1)) % uint64_t(height));
        const int64_t pull =
            std::min<int64_t>(192, (dx * dx + dy * dy) * 192 / (width * width / 16));
        const uint64_t number = noise.bits(uint64_t((y * width + x) * labels + l)) >> 57;
        energies.push_back(float(int64_t(number) + pull) / 64);
      }
  return Tensor::from(energies, {height, width, labels});
}

Tensor random_picture(int64_t height, int64_t width, uint64_t seed) {
  const Random random(seed);
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < height * width; ++i)
    for (int64_t c = 0; c < 3; ++c) {
      const int64_t block = (i % width) / 4 + (i / width) / 3 * 16;
      pixels.push_back(uint8_t(random.below(uint64_t(block * 3 + c), 200) +
                               random.below(uint64_t(1000000 + i * 3 + c), 6)));
    }
  return Tensor::from(pixels, {height, width, 3});
}

DenseCrfOptions options_for(int64_t labels) { return labels == 2 ? kPseudoLabelCrf : kDeepLabCrf; }

double compare(const Tensor& marginals, const Tensor& golden, const std::vector<int64_t>& pixels) {
  const auto found = marginals.to_vector<float>(), expected = golden.to_vector<float>();
  const size_t labels = size_t(golden.dim(1));
  REQUIRE(golden.dim(0) == int64_t(pixels.size()));
  double worst = 0;
  for (size_t i = 0; i < pixels.size(); ++i)
    for (size_t l = 0; l < labels; ++l)
      worst = std::max(worst, std::abs(double(found[size_t(pixels[i]) * labels + l]) -
                                       double(expected[i * labels + l])));
  return worst;
}

// Ten rounds of mean field amplify the rounding of sums in another order.
bool is_same_marginal(double found, double expected) {
  return std::abs(found - expected) <= 1e-6 + 1e-3 * expected;
}

// Algorithm 1 with all pairs of pixels, in double.
std::vector<double> exact_mean_field(const std::vector<uint8_t>& image, int64_t width,
                                     const std::vector<float>& unary, size_t labels,
                                     const DenseCrfOptions& options) {
  const size_t points = image.size() / 3;
  const auto square = [](double x) { return x * x; };
  std::vector<double> kernel(points * points);
  for (const bool colours : {false, true}) {
    std::vector<double> k(points * points), sums(points);
    for (size_t i = 0; i < points; ++i)
      for (size_t j = 0; j < points; ++j) {
        const double sigma = colours ? options.appearance_sigma_px : options.smoothness_sigma_px;
        double d = square((double(i % width) - double(j % width)) / sigma) +
                   square((double(i / width) - double(j / width)) / sigma);
        for (size_t c = 0; colours && c < 3; ++c)
          d += square((double(image[3 * i + c]) - image[3 * j + c]) /
                      options.appearance_sigma_levels);
        sums[i] += k[i * points + j] = std::exp(-d / 2);
      }
    const double weight = colours ? options.appearance_weight : options.smoothness_weight;
    for (size_t i = 0; i < points * points; ++i)
      kernel[i] += weight * k[i] / std::sqrt(sums[i / points] * sums[i % points]);
  }
  std::vector<double> q(unary.size()), score(unary.begin(), unary.end());
  for (double& s : score) s = -s;
  for (int iteration = 0; iteration <= options.iterations; ++iteration) {
    for (size_t i = 0; i < points; ++i) {
      double sum = 0;
      for (size_t l = 0; l < labels; ++l) sum += std::exp(score[i * labels + l]);
      for (size_t l = 0; l < labels; ++l) q[i * labels + l] = std::exp(score[i * labels + l]) / sum;
    }
    for (size_t i = 0; i < points; ++i)
      for (size_t l = 0; l < labels; ++l) {
        double s = -unary[i * labels + l];
        for (size_t j = 0; j < points; ++j) s += kernel[i * points + j] * q[j * labels + l];
        score[i * labels + l] = s;
      }
  }
  return q;
}

}  // namespace

TEST_CASE("dense CRF: METHOD A8, marginals of pydensecrf on a generated picture") {
  const MemoryAudit audit;
  const auto golden = test::golden("dense_crf");
  const Tensor picture = golden.tensors.at("picture");
  const auto pixels = golden.tensors.at("pixels").to_vector<int64_t>();
  for (const Device device : available_devices())
    for (const int64_t labels : {2, 21}) {
      CAPTURE(labels);
      const DenseCrf crf(picture.to(device), options_for(labels));
      const Tensor marginals = crf.infer(unary_energies(45, 60, labels).to(device));
      CHECK(compare(marginals, golden.tensors.at("marginals_" + std::to_string(labels)), pixels) <
            1e-3);
    }
}

TEST_CASE("dense CRF: METHOD A8, marginals of pydensecrf on photographs") {
  const std::string folder = test::shared_path("data/voc2012_subset/JPEGImages");
  BBAM_SKIP_WITHOUT(folder, "the set of photographs");
  const auto golden = test::golden("dense_crf");
  for (const std::string name : {"2008_001885", "2009_004316"}) {
    CAPTURE(name);
    const Image image = read_image(folder + "/" + name + ".jpg");
    int64_t sum = 0;
    for (const uint8_t level : image.pixels) sum += level;
    REQUIRE(sum == golden.tensors.at(name + ".sum").item<int64_t>());
    const auto pixels = golden.tensors.at(name + ".pixels").to_vector<int64_t>();
    const Tensor picture = Tensor::from(image.pixels, {image.height, image.width, 3});
    for (const Device device : available_devices())
      for (const int64_t labels : {2, 21}) {
        CAPTURE(to_string(device));
        CAPTURE(labels);
        const DenseCrf crf(picture.to(device), options_for(labels));
        const Tensor unary = unary_energies(image.height, image.width, labels);
        const Tensor expected = golden.tensors.at(name + ".marginals_" + std::to_string(labels));
        CHECK(compare(crf.infer(unary.to(device)), expected, pixels) < 1e-3);
      }
  }
}

TEST_CASE("dense CRF: METHOD A8, algorithm 1 with all pairs of pixels") {
  // The lattice approximates the kernels, and mean field amplifies where labels compete: means are
  // compared, with room for a few pixels on the other side.
  const int64_t height = 14, width = 20;
  const Tensor picture = random_picture(height, width, 61);
  for (const int64_t labels : {2, 5}) {
    CAPTURE(labels);
    const DenseCrfOptions options{.appearance_sigma_px = 10, .appearance_sigma_levels = 20};
    const Tensor unary = unary_energies(height, width, labels);
    const auto exact = exact_mean_field(picture.to_vector<uint8_t>(), width,
                                        unary.to_vector<float>(), size_t(labels), options);
    for (const Device device : available_devices()) {
      const DenseCrf crf(picture.to(device), options);
      const auto found = crf.infer(unary.to(device)).to_vector<float>();
      double sum = 0;
      for (size_t i = 0; i < exact.size(); ++i) sum += std::abs(found[i] - exact[i]);
      const double mean = sum / double(exact.size());
      CAPTURE(to_string(device));
      CAPTURE(mean);
      CHECK(mean < 0.004);
    }
  }
}

TEST_CASE("dense CRF: without iterations the marginals are the softmax of -u") {
  const int64_t height = 5, width = 7;
  DenseCrfOptions options;
  options.iterations = 0;
  for (const Device device : available_devices()) {
    const DenseCrf crf(random_picture(height, width, 71).to(device), options);
    for (const int64_t labels : {1, 2, 3, 4, 5, 9, 17, 21, 81}) {
      CAPTURE(labels);
      const Tensor unary = unary_energies(height, width, labels);
      const auto u = unary.to_vector<float>();
      const auto q = crf.infer(unary.to(device)).to_vector<float>();
      for (size_t i = 0; i < size_t(height * width); ++i) {
        double sum = 0;
        for (size_t l = 0; l < size_t(labels); ++l) sum += std::exp(-u[i * labels + l]);
        for (size_t l = 0; l < size_t(labels); ++l)
          REQUIRE(q[i * labels + l] == test::close_to(std::exp(-u[i * labels + l]) / sum));
      }
    }
  }
}

TEST_CASE("dense CRF: marginals sum to one, extreme energies included") {
  const int64_t height = 12, width = 9;
  for (const Device device : available_devices()) {
    const DenseCrf crf(random_picture(height, width, 81).to(device));
    for (const float scale : {1.f, 30.f, 1000.f})
      for (const int64_t labels : {2, 3, 21, 81}) {
        auto energies = unary_energies(height, width, labels).to_vector<float>();
        for (float& u : energies) u *= scale;
        const Tensor unary = Tensor::from(energies, {height, width, labels}, device);
        const auto q = crf.infer(unary).to_vector<float>();
        for (size_t i = 0; i < size_t(height * width); ++i) {
          double sum = 0;
          for (size_t l = 0; l < size_t(labels); ++l) {
            REQUIRE(q[i * labels + l] >= 0);
            sum += q[i * labels + l];
          }
          REQUIRE(sum == test::close_to(1));
        }
      }
  }
}

TEST_CASE("dense CRF: foregrounds solved together are those solved alone, as two labels") {
  const int64_t height = 30, width = 26;
  for (const Device device : available_devices()) {
    const DenseCrf crf(random_picture(height, width, 91).to(device));
    for (const int64_t objects : {1, 3, 9}) {
      CAPTURE(objects);
      std::vector<float> foreground;
      RandomSequence random(92);
      for (int64_t i = 0; i < height * width * objects; ++i)
        foreground.push_back(float(random.uniform(-0.1, 1.1)));  // the ends are cut off
      for (float& p : foreground) p = std::min(1.f, std::max(0.f, p));
      const Tensor maps = Tensor::from(foreground, {height, width, objects}, device);
      const auto together = crf.infer_foreground(maps).to_vector<float>();
      for (const int64_t k : {int64_t(0), objects - 1}) {
        std::vector<float> two;
        for (int64_t i = 0; i < height * width; ++i) {
          const float p = foreground[size_t(i * objects + k)];
          two.push_back(1 - p);
          two.push_back(p);
        }
        const Tensor unary =
            unary_from_probabilities(Tensor::from(two, {height, width, 2}, device));
        const auto alone = crf.infer(unary).to_vector<float>();
        for (int64_t i = 0; i < height * width; ++i)
          REQUIRE(is_same_marginal(together[size_t(i * objects + k)], alone[size_t(2 * i + 1)]));
      }
    }
    CHECK(crf.infer_foreground(Tensor::empty({height, width, 0}, DType::kF32, device)).size() == 0);
  }
}

TEST_CASE("dense CRF: the order of the labels does not matter") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const int64_t height = 16, width = 16, labels = 6;
    const DenseCrf crf(random_picture(height, width, 101).to(device));
    const auto u = unary_energies(height, width, labels).to_vector<float>();
    auto reversed = u;
    for (size_t i = 0; i < u.size(); i += labels)
      std::reverse(reversed.begin() + int64_t(i), reversed.begin() + int64_t(i) + labels);
    const auto q = crf.infer(Tensor::from(u, {height, width, labels}, device)).to_vector<float>();
    const auto r =
        crf.infer(Tensor::from(reversed, {height, width, labels}, device)).to_vector<float>();
    for (size_t i = 0; i < u.size(); ++i)
      REQUIRE(is_same_marginal(q[i], r[i / labels * labels + labels - 1 - i % labels]));
  }
}

TEST_CASE("dense CRF: the same bytes for any number of threads") {
  const int before = threads();
  const Tensor picture = random_picture(70, 90, 111);
  for (const int64_t labels : {2, 21}) {
    std::vector<std::vector<float>> results;
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      results.push_back(DenseCrf(picture).infer(unary_energies(70, 90, labels)).to_vector<float>());
    }
    set_threads(before);
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
}

TEST_CASE("dense CRF: one pixel, one label") {
  for (const Device device : available_devices()) {
    CAPTURE(to_string(device));
    const DenseCrf one(Tensor::full({1, 1, 3}, 90, DType::kU8, device));
    const auto q = one.infer(Tensor::from<float>({1, 2, 1}, {1, 1, 3}, device)).to_vector<float>();
    CHECK(q[0] > 0.4);
    CHECK(q[1] < 0.01);
    CHECK(q[2] > 0.4);
    const DenseCrf crf(random_picture(4, 6, 121).to(device));
    for (const float p : crf.infer(unary_energies(4, 6, 1).to(device)).to_vector<float>())
      CHECK(p == 1);
  }
}

TEST_CASE("dense CRF: wrong input is named") {
  CHECK_THROWS_WITH_AS(DenseCrf(Tensor::zeros({0, 4, 3}, DType::kU8)),
                       doctest::Contains("the image is empty"), Error);
  CHECK_THROWS_WITH_AS(DenseCrf(Tensor::zeros({4, 4}, DType::kU8)),
                       doctest::Contains("expected u8 (H, W, 3)"), Error);
  CHECK_THROWS_WITH_AS(DenseCrf(Tensor::zeros({4, 4, 3})),
                       doctest::Contains("expected u8 (H, W, 3)"), Error);
  const Tensor picture = random_picture(4, 6, 131);
  CHECK_THROWS_WITH_AS(DenseCrf(picture, {.appearance_sigma_levels = 0}),
                       doctest::Contains("standard deviations"), Error);
  CHECK_THROWS_WITH_AS(DenseCrf(picture, {.iterations = -1}), doctest::Contains("-1 iterations"),
                       Error);
  const DenseCrf crf(picture);
  CHECK_THROWS_WITH_AS(crf.infer(Tensor::zeros({6, 4, 2})), doctest::Contains("unary energies"),
                       Error);
  CHECK_THROWS_WITH_AS(crf.infer(Tensor::zeros({4, 6, 0})), doctest::Contains("no labels"), Error);
}

TEST_CASE("dense CRF: METHOD A8, unary energies of probabilities") {
  for (const Device device : available_devices()) {
    const Tensor p = Tensor::from<float>({1, 0.5f, 0, 1e-9f}, {4, 1, 1}, device);
    const auto u = unary_from_probabilities(p).to_vector<float>();
    CHECK(u[0] == 0);
    CHECK(u[1] == test::close_to(std::log(2.0), 1e-6));
    CHECK(u[2] == test::close_to(-std::log(1e-5), 1e-6));
    CHECK(u[3] == u[2]);
  }
}
