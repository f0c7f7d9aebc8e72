#include "segmenters/superpixels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "segmenters/smoothing.h"
#include "tensor/random.h"
#include "tests/golden.h"

using namespace bbam;

namespace {

Tensor noise(int64_t height, int64_t width, int64_t channels, double spread) {
  RandomSequence random(5);
  std::vector<float> values;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        values.push_back(float(60 * ((x / 5 + y / 4) % 3) + random.uniform(0, spread)));
  return Tensor::from(values, {height, width, channels});
}

// Calls f(p, q, weight) for each edge between a pixel and its 8 neighbours, once.
void for_each_edge(const Tensor& picture, const std::function<void(int64_t, int64_t, double)>& f) {
  const int64_t height = picture.dim(0), width = picture.dim(1), channels = picture.dim(2);
  const float* x = picture.data<float>();
  for (int64_t p = 0; p < height * width; ++p)
    for (int64_t q = p + 1; q < height * width; ++q) {
      if (q / width - p / width > 1 || std::abs(q % width - p % width) > 1) continue;
      double squares = 0;
      for (int64_t c = 0; c < channels; ++c)
        squares += std::pow(double(x[p * channels + c]) - x[q * channels + c], 2);
      f(p, q, std::sqrt(squares));
    }
}

// The heaviest edge of the minimum spanning tree of the pixels with one label: the least w such
// that edges up to w connect them (by trying all weights in turn).
double internal_difference(const Tensor& picture, const std::vector<int32_t>& labels,
                           int32_t label) {
  std::map<int64_t, int64_t> leader;
  for (size_t p = 0; p < labels.size(); ++p)
    if (labels[p] == label) leader[int64_t(p)] = int64_t(p);
  std::multimap<double, std::pair<int64_t, int64_t>> edges;
  for_each_edge(picture, [&](int64_t p, int64_t q, double weight) {
    if (leader.count(p) && leader.count(q)) edges.insert({weight, {p, q}});
  });
  size_t components = leader.size();
  double heaviest = 0;
  for (const auto& [weight, ends] : edges) {
    const int64_t a = leader[ends.first], b = leader[ends.second];
    if (a == b) continue;
    for (auto& [pixel, of] : leader)
      if (of == b) of = a;
    heaviest = weight;
    --components;
  }
  CHECK(components == 1);  // connected
  return heaviest;
}

}  // namespace

TEST_CASE("superpixels: Felzenszwalb 2004, equations 1 to 4: no boundary without evidence") {
  const Tensor picture = noise(13, 17, 2, 50);
  for (const double scale : {10.0, 80.0, 400.0}) {
    CAPTURE(scale);
    const Segmentation result = PixelGraph(picture, 0).segment(scale, 1);
    const auto labels = result.labels.to_vector<int32_t>();
    std::vector<double> allowed;  // Int(C) + scale / |C|
    for (int32_t label = 0; label < result.count; ++label) {
      const auto size = std::count(labels.begin(), labels.end(), label);
      REQUIRE(size > 0);
      allowed.push_back(internal_difference(picture, labels, label) + scale / double(size));
    }
    CHECK(result.count > 1);
    for_each_edge(picture, [&](int64_t p, int64_t q, double weight) {
      const int32_t a = labels[size_t(p)], b = labels[size_t(q)];
      if (a != b) CHECK(weight > std::min(allowed[size_t(a)], allowed[size_t(b)]) - 1e-4);
    });
  }
}

TEST_CASE("superpixels: the same parts as scikit-image's") {
  const SafetensorsFile file = test::golden("regions");
  const PixelGraph graph(file.tensors.at("noise"), 0);
  for (const auto& [scale, least_px] : {std::pair{20, 1}, {100, 1}, {100, 20}, {300, 60}}) {
    const std::string name = std::to_string(scale) + "_" + std::to_string(least_px);
    CAPTURE(name);
    const auto expected = file.tensors.at(name + ".labels").to_vector<int32_t>();
    const Segmentation result = graph.segment(scale, least_px);
    const auto labels = result.labels.to_vector<int32_t>();
    std::map<int32_t, int32_t> theirs, ours;
    int64_t differ = 0;
    for (size_t p = 0; p < labels.size(); ++p) {
      differ += theirs.emplace(labels[p], expected[p]).first->second != expected[p];
      differ += ours.emplace(expected[p], labels[p]).first->second != labels[p];
    }
    CHECK(differ == 0);
    CHECK(int64_t(theirs.size()) == result.count);
  }
}

TEST_CASE("superpixels: labels count up from the first pixel on, equal edges or not") {
  const Tensor flat = Tensor::full({4, 5, 3}, 7);
  CHECK(PixelGraph(flat, 0.8).segment(0, 1).count == 1);
  // A step of 100 between two halves of 6 pixels each.
  const Tensor halves =
      Tensor::from(std::vector<float>{0, 0, 100, 100, 0, 0, 100, 100, 0, 0, 100, 100}, {3, 4, 1});
  const Segmentation two = PixelGraph(halves, 0).segment(599, 1);
  CHECK(two.labels.to_vector<int32_t>() ==
        std::vector<int32_t>{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(PixelGraph(halves, 0).segment(601, 1).count == 1);
  CHECK(PixelGraph(halves, 0).segment(599, 6).count == 2);
  CHECK(PixelGraph(halves, 0).segment(599, 7).count == 1);
  CHECK(PixelGraph(Tensor::full({1, 1, 1}, 3), 1).segment(10, 5).count == 1);
}

TEST_CASE("superpixels: smoothed as scipy smooths") {
  const SafetensorsFile file = test::golden("regions");
  for (const auto& [name, sigma] : {std::pair{"smooth.0.8", 0.8}, {"smooth.2.5", 2.5}}) {
    const Tensor smooth = gaussian_smooth(file.tensors.at("noise"), sigma);
    const auto ours = smooth.to_vector<float>();
    const auto expected = file.tensors.at(name).to_vector<float>();
    REQUIRE(ours.size() == expected.size());
    for (size_t i = 0; i < ours.size(); ++i) REQUIRE(ours[i] == doctest::Approx(expected[i]));
  }
  CHECK(gaussian_smooth(Tensor::full({1, 3, 2}, 5), 1).to_vector<float>()[3] == doctest::Approx(5));
}

TEST_CASE("superpixels: what cannot be segmented") {
  CHECK_THROWS_AS(PixelGraph(Tensor::zeros({0, 4, 3}), 0.8), Error);
  CHECK_THROWS_AS(PixelGraph(Tensor::zeros({4, 4}), 0.8), Error);
  CHECK_THROWS_AS(PixelGraph(Tensor::zeros({4, 4, 3}), -1), Error);
  CHECK_THROWS_AS(PixelGraph(Tensor::zeros({4, 4, 3}, DType::kU8), 0.8), Error);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(PixelGraph(Tensor::full({2, 2, 1}, nan), 0), Error);
  CHECK_THROWS_AS(PixelGraph(Tensor::zeros({4, 4, 3}), 0).segment(-1, 1), Error);
}
