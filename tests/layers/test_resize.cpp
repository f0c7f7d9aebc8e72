#include "layers/resize.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// Every input pixel weighs in with a tent around it; inputs beyond the edge are the edge.
std::vector<double> tents(const Tensor& x, int64_t height, int64_t width, Corners corners) {
  const auto at = [&](int64_t o, int64_t in, int64_t out) {
    const double free = corners == Corners::kAligned
                            ? (out > 1 ? double(o) * double(in - 1) / double(out - 1) : 0)
                            : (double(o) + 0.5) * double(in) / double(out) - 0.5;
    return std::min(std::max(free, 0.0), double(in - 1));
  };
  const auto tent = [](double d) { return std::max(0.0, 1 - std::abs(d)); };
  const auto v = x.to_vector<double>();
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  std::vector<double> y;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t p = 0; p < height; ++p)
      for (int64_t q = 0; q < width; ++q)
        for (int64_t k = 0; k < c; ++k) {
          double sum = 0;
          for (int64_t i = 0; i < h; ++i)
            for (int64_t j = 0; j < w; ++j)
              sum += tent(at(p, h, height) - double(i)) * tent(at(q, w, width) - double(j)) *
                     v[size_t(((n * h + i) * w + j) * c + k)];
          y.push_back(sum);
        }
  return y;
}

Example bilinear(const std::string& what, Shape x, int64_t height, int64_t width, Corners corners) {
  return {
      what,
      {random_tensor(x, 1)},
      [=](const std::vector<Variable>& v) { return resize_bilinear(v[0], height, width, corners); },
      [=](const std::vector<Tensor>& v) { return tents(v[0], height, width, corners); },
      Shape{x[0], height, width, x[3]}};
}

// Nearest pixel by search over all of them.
std::vector<double> nearest_by_search(const Tensor& x, int64_t height, int64_t width,
                                      Corners corners) {
  const auto pick = [&](int64_t o, int64_t in, int64_t out) {
    if (corners == Corners::kHalfPixel) {
      int64_t i = 0;
      while ((i + 1) * out <= o * in) ++i;
      return i;
    }
    const double at = out > 1 ? double(o * (in - 1)) / double(out - 1) : 0;
    int64_t best = 0;
    for (int64_t i = 1; i < in; ++i)
      if (std::abs(at - double(i)) < std::abs(at - double(best))) best = i;
    return best;
  };
  const auto v = x.to_vector<double>();
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  std::vector<double> y;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t p = 0; p < height; ++p)
      for (int64_t q = 0; q < width; ++q)
        for (int64_t k = 0; k < c; ++k)
          y.push_back(v[size_t(((n * h + pick(p, h, height)) * w + pick(q, w, width)) * c + k)]);
  return y;
}

Example nearest(const std::string& what, Shape x, int64_t height, int64_t width, Corners corners) {
  return {
      what,
      {random_tensor(x, 2)},
      [=](const std::vector<Variable>& v) { return resize_nearest(v[0], height, width, corners); },
      [=](const std::vector<Tensor>& v) { return nearest_by_search(v[0], height, width, corners); },
      Shape{x[0], height, width, x[3]}};
}

}  // namespace

TEST_CASE("op resize_bilinear") {
  std::vector<Example> examples;
  for (Corners c : {Corners::kAligned, Corners::kHalfPixel}) {
    examples.push_back(bilinear("up", {1, 3, 4, 2}, 7, 9, c));
    examples.push_back(bilinear("down", {2, 9, 7, 1}, 4, 3, c));
    examples.push_back(bilinear("same", {1, 3, 5, 3}, 3, 5, c));
    examples.push_back(bilinear("a mask's grid to an image", {1, 3, 4, 1}, 50, 61, c));
    examples.push_back(bilinear("many channels", {1, 2, 3, 40}, 5, 4, c));
    examples.push_back(bilinear("long rows", {1, 2, 19, 31}, 3, 21, c));
    examples.push_back(bilinear("one pixel", {1, 1, 1, 2}, 4, 5, c));
    examples.push_back(bilinear("one value to an image", {1, 1, 1, 1}, 9, 8, c));
    examples.push_back(bilinear("to one pixel", {1, 4, 5, 2}, 1, 1, c));
    examples.push_back(bilinear("no images", {0, 4, 4, 2}, 3, 3, c));
    examples.push_back(bilinear("to nothing", {1, 4, 4, 2}, 0, 3, c));
  }
  run({"resize_bilinear", examples});
}

TEST_CASE("op resize_nearest") {
  std::vector<Example> examples;
  for (Corners c : {Corners::kAligned, Corners::kHalfPixel}) {
    examples.push_back(nearest("up", {1, 3, 4, 2}, 7, 9, c));
    examples.push_back(nearest("down", {2, 9, 7, 1}, 4, 3, c));
    examples.push_back(nearest("twice, many channels", {1, 3, 2, 33}, 6, 4, c));
    examples.push_back(nearest("one pixel", {1, 1, 1, 2}, 3, 3, c));
    examples.push_back(nearest("no images", {0, 2, 2, 1}, 3, 3, c));
  }
  run({"resize_nearest", examples});
}

TEST_CASE("resize: agrees with torch, values and gradients") {
  const auto tensors = golden("resize").tensors;
  const auto cases = tensors.at("cases").to_vector<int64_t>();
  for (size_t k = 0; k < cases.size() / 4; ++k) {
    const std::string key = std::to_string(k) + ".";
    const int64_t height = cases[4 * k + 2], width = cases[4 * k + 3];
    for (const std::string kind : {"aligned", "half", "nearest"}) {
      INFO(key, kind);
      Variable x(tensors.at(key + "x"), true);
      const Corners corners = kind == "aligned" ? Corners::kAligned : Corners::kHalfPixel;
      const Variable y = kind == "nearest" ? resize_nearest(x, height, width)
                                           : resize_bilinear(x, height, width, corners);
      backward(y, tensors.at(key + "dy"));
      const auto compare = [&](const Tensor& ours, const Tensor& theirs) {
        const auto a = ours.to_vector<double>(), b = theirs.to_vector<double>();
        REQUIRE(a.size() == b.size());
        double worst = 0;
        for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
        CHECK(worst < 1e-12);
      };
      compare(y.value(), tensors.at(key + kind + ".y"));
      compare(x.grad(), tensors.at(key + kind + ".dx"));
    }
  }
}

TEST_CASE("resize: the same bytes for any number of threads") {
  for (Corners corners : {Corners::kAligned, Corners::kHalfPixel}) {
    const auto to = [&](int64_t height, int64_t width) {
      return [=](const std::vector<Variable>& v) {
        return resize_bilinear(v[0], height, width, corners);
      };
    };
    check_same_bytes(to(128, 171), {random_tensor({3, 12, 16, 1}, 1)});
    check_same_bytes(to(40, 54), {random_tensor({1, 20, 27, 64}, 2)});
    check_same_bytes(to(20, 31), {random_tensor({2, 41, 60, 3}, 3)});
  }
}

TEST_CASE("resize: a pixel of weight 0 is not read") {
  const Variable x(Tensor::from<float>({INFINITY, 1, 2}, {1, 1, 3, 1}));
  const std::vector<float> same = x.value().to_vector<float>();
  for (Corners c : {Corners::kAligned, Corners::kHalfPixel})
    CHECK(resize_bilinear(x, 1, 3, c).value().to_vector<float>() == same);
  const std::vector<float> twice{INFINITY, INFINITY, 1, 1, 2, 2};
  CHECK(resize_nearest(x, 1, 6).value().to_vector<float>() == twice);
  // Outputs 0, 6 and 12 fall on the inputs.
  const auto long_run = resize_bilinear(x, 1, 13, Corners::kAligned).value().to_vector<float>();
  CHECK(long_run[6] == 1);
  CHECK(long_run[12] == 2);
}

TEST_CASE("resize: an empty image cannot grow") {
  CHECK_THROWS_AS(resize_bilinear(Variable(Tensor::zeros({1, 0, 3, 1})), 2, 2, Corners::kAligned),
                  Error);
}
