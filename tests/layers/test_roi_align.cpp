#include "layers/roi_align.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tensor/random.h"
#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

// The value of channel c of image n at a real place: bilinear between the pixel centres, constant
// over the border, nothing further than one pixel outside.
double interpolate(const Tensor& x, int64_t n, double row, double column, int64_t c) {
  const int64_t height = x.dim(1), width = x.dim(2);
  if (row < -1 || row > double(height) || column < -1 || column > double(width)) return 0;
  const std::vector<double> values = x.rows(n, n + 1).to_vector<double>();
  const auto at = [&](int64_t i, int64_t j) {
    i = std::clamp<int64_t>(i, 0, height - 1);
    j = std::clamp<int64_t>(j, 0, width - 1);
    return values[size_t((i * width + j) * x.dim(3) + c)];
  };
  const auto i = int64_t(std::floor(row)), j = int64_t(std::floor(column));
  return std::lerp(std::lerp(at(i, j), at(i, j + 1), column - double(j)),
                   std::lerp(at(i + 1, j), at(i + 1, j + 1), column - double(j)), row - double(i));
}

struct Roi {
  float image, x0, y0, x1, y1;
};

Tensor tensor_of(const std::vector<Roi>& rois, Device device = kCpu) {
  std::vector<float> values;
  for (const Roi& r : rois) values.insert(values.end(), {r.image, r.x0, r.y0, r.x1, r.y1});
  return Tensor::from(values, {int64_t(rois.size()), 5}, device);
}

// The mean of the samples of each bin, written for one RoI at a time.
void append_expected(std::vector<double>& y, const Tensor& x, const Roi& roi, double scale,
                     const RoiAlignSpec& spec) {
  const double shift = spec.aligned ? 0.5 : 0, least = spec.aligned ? -1e9 : 1;
  const double left = double(roi.x0) * scale - shift, top = double(roi.y0) * scale - shift;
  const double width = std::max((double(roi.x1) - double(roi.x0)) * scale, least);
  const double height = std::max((double(roi.y1) - double(roi.y0)) * scale, least);
  const auto samples = [&](double size, int bins) {  // none where corners are exchanged
    return spec.sampling_ratio > 0 ? spec.sampling_ratio : std::max(int(std::ceil(size / bins)), 0);
  };
  const int down = samples(height, spec.out_h), across = samples(width, spec.out_w);
  for (int p = 0; p < spec.out_h; ++p)
    for (int q = 0; q < spec.out_w; ++q)
      for (int64_t c = 0; c < x.dim(3); ++c) {
        double sum = 0;
        for (int k = 0; k < down * across; ++k)
          sum += interpolate(x, int64_t(roi.image),
                             top + height * (p * down + k / across + 0.5) / (spec.out_h * down),
                             left + width * (q * across + k % across + 0.5) / (spec.out_w * across),
                             c);
        y.push_back(sum / std::max(down * across, 1));
      }
}

const std::vector<Roi> kRois{{0, 3, 5, 38, 30},            // inside
                             {1, -15.5f, -9, 20, 17},      // partly outside, top left
                             {0, 40, 20, 90.25f, 80},      // partly outside, bottom right
                             {1, 300, 300, 400, 350},      // wholly outside
                             {0, -90, -70, -40, -30},      // wholly outside
                             {1, 12, 12, 12, 12},          // no size
                             {0, 20.5f, 8.5f, 21, 8.75f},  // far smaller than a feature pixel
                             {1, -60, -50, 120, 110},      // larger than the image
                             {0, 30, 30, 10, 12}};         // corners exchanged

Example example(const std::string& what, Shape shape, const std::vector<Roi>& rois, double scale,
                RoiAlignSpec spec) {
  return {what,
          {random_tensor(shape, uint64_t(shape.size()))},
          [=](const std::vector<Variable>& v) {
            return roi_align(v[0], tensor_of(rois, v[0].device()), scale, spec);
          },
          [=](const std::vector<Tensor>& t) {
            std::vector<double> y;
            for (const Roi& roi : rois) append_expected(y, t[0], roi, scale, spec);
            return y;
          },
          Shape{int64_t(rois.size()), spec.out_h, spec.out_w, shape[3]}};
}

}  // namespace

TEST_CASE("op roi_align") {
  OpCase op_case{.op = "roi_align", .examples = {}};
  for (bool aligned : {false, true})
    for (int sampling : {0, 1, 2})
      op_case.examples.push_back(
          example(join(aligned ? "aligned" : "legacy", ", sampling ratio ", sampling), {2, 7, 9, 3},
                  kRois, 0.125, {3, 2, sampling, aligned}));
  const RoiAlignSpec spec{};
  op_case.examples.push_back(example("no RoIs", {1, 4, 5, 2}, {}, 0.5, spec));
  op_case.examples.push_back(example("1x1 features", {2, 1, 1, 1}, kRois, 0.03, spec));
  op_case.examples.push_back(example("one row, two tiles", {1, 1, 35, 2},
                                     {{0, 10, -3, 55, 4}, {0, 2, 0, 68, 1}}, 0.5, {2, 7}));
  op_case.examples.push_back(
      example("one column", {1, 7, 1, 33}, {{0, -1, 1, 2, 6}, {0, 0, 2, 1, 3}}, 1, {5, 3, 2}));
  op_case.examples.push_back(example("no channels", {1, 3, 3, 0}, {{0, 0, 0, 2, 2}}, 1, spec));
  op_case.examples.push_back(example("large bins, many samples", {1, 13, 17, 2},
                                     {{0, 1, 2, 16, 12}, {0, 0.5f, 0, 9, 11}}, 1, {2, 2, 0}));
  run(op_case);
}

TEST_CASE("op roi_align_levels") {
  const std::vector<double> scales{0.5, 0.25, 0.125};
  OpCase op_case{.op = "roi_align_levels", .examples = {}};
  const auto add = [&](const char* what, const std::vector<Roi>& rois,
                       const std::vector<int64_t>& level, const RoiAlignSpec& spec) {
    const auto count = int64_t(rois.size());
    const auto op = [=](const std::vector<Variable>& v) {
      const Device device = v[0].device();
      const Tensor levels = Tensor::from(level, {count}, device);
      return roi_align_levels(v, scales, tensor_of(rois, device), levels, spec);
    };
    const auto oracle = [=](const std::vector<Tensor>& t) {
      std::vector<double> y;
      for (size_t r = 0; r < rois.size(); ++r)
        append_expected(y, t[size_t(level[r])], rois[r], scales[size_t(level[r])], spec);
      return y;
    };
    op_case.examples.push_back({what,
                                {random_tensor({2, 15, 19, 2}, 1), random_tensor({2, 8, 10, 2}, 2),
                                 random_tensor({2, 4, 5, 2}, 3)},
                                op,
                                oracle,
                                Shape{count, spec.out_h, spec.out_w, 2}});
  };
  for (const bool aligned : {false, true}) {
    add("three levels", kRois, {1, 0, 2, 0, 1, 1, 0, 2, 1}, {2, 3, 2, aligned});
    add("a level that no RoI reads", kRois, {2, 0, 2, 0, 0, 2, 0, 2, 0}, {3, 2, 0, aligned});
  }
  add("no RoIs", {}, {}, {2, 3, 2, false});
  run(op_case);
}

TEST_CASE("roi_align: METHOD B1, values and gradients equal torchvision's") {
  const SafetensorsFile file = golden("roi_align");
  const auto& t = file.tensors;
  for (Device device : available_devices())
    for (bool aligned : {false, true})
      for (int sampling : {0, 2, 3}) {
        const std::string key = join(aligned ? "aligned_" : "legacy_", sampling);
        INFO(key, " on ", to_string(device));
        Variable x(t.at("x").to(device), true);
        const Variable y =
            roi_align(x, t.at("rois").to(device), 1.0 / 16, {3, 4, sampling, aligned});
        std::vector<double> dy(size_t(y.value().size()));
        for (size_t k = 0; k < dy.size(); ++k) dy[k] = std::cos(double(k));
        backward(y, Tensor::from(dy, y.shape(), device));
        for (const auto& [ours, theirs] :
             {std::pair{y.value(), t.at(key + ".y")}, std::pair{x.grad(), t.at(key + ".dx")}}) {
          const auto a = ours.to_vector<double>(), b = theirs.to_vector<double>();
          REQUIRE(a.size() == b.size());
          for (size_t k = 0; k < a.size(); ++k) CHECK(a[k] == close_to(b[k], 1e-10));
        }
      }
}

TEST_CASE("roi_align: the same bytes for any number of threads") {
  RandomSequence random(3);
  std::vector<Roi> rois;
  for (int r = 0; r < 60; ++r) {
    const auto x = float(random.uniform(-20, 200)), y = float(random.uniform(-20, 150));
    rois.push_back({float(random.below(2)), x, y, x + float(random.uniform(0, 120)),
                    y + float(random.uniform(0, 120))});
  }
  check_same_bytes(
      [&](const std::vector<Variable>& v) {
        return roi_align(v[0], tensor_of(rois, v[0].device()), 0.25);
      },
      {random_tensor({2, 40, 53, 20}, 1)});
}

TEST_CASE("roi_align: a level that no RoI reads receives no gradient") {
  const Variable fine(Tensor::zeros({1, 8, 8, 2}), true), coarse(Tensor::zeros({1, 4, 4, 2}), true);
  const Variable y = roi_align_levels({fine, coarse}, {1, 0.5}, tensor_of({{0, 1, 1, 6, 6}}),
                                      Tensor::from<int32_t>({1}));
  backward(y, Tensor::full(y.shape(), 1));
  CHECK_FALSE(fine.grad().defined());
  CHECK(coarse.grad().defined());
}

TEST_CASE("roi_align_windows: what lies outside them is never read, and they are no larger") {
  const Tensor rois = Tensor::from<float>({0, 20, 9,  47, 30, 0, 33, 15, 60, 31,  // two unite
                                           1, 70, 50, 90, 99, 1, 5,  5,  9,  9,   // of two levels
                                           2, -9, -9, 4,  3},                     // at the border
                                          {5, 5});
  const Tensor level = Tensor::from<int64_t>({0, 0, 0, 1, 0});
  const Shape shape{4, 14, 20, 2};
  for (const bool aligned : {false, true}) {
    const RoiAlignSpec spec{.aligned = aligned};
    const std::vector<Window> windows = roi_align_windows(shape, 0.25, rois, level, 0, spec);
    REQUIRE(windows.size() == 4);
    CHECK(windows[3].empty());
    const auto pooled = [&](const Tensor& x) {
      const Variable coarse(Tensor::zeros({4, 7, 10, 2}));
      return roi_align_levels({Variable(x), coarse}, {0.25, 0.125}, rois, level, spec)
          .value()
          .to_vector<float>();
    };
    std::vector<float> values = test::random_tensor(shape, 8).cast(DType::kF32).to_vector<float>();
    const auto expected = pooled(Tensor::from(values, shape));
    std::vector<float> poisoned = values;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto pixel = int64_t(i) / 2, column = pixel % 20, row = pixel / 20 % 14;
      const Window& w = windows[size_t(pixel / 280)];
      if (row < w.top || row >= w.bottom || column < w.left || column >= w.right) poisoned[i] = NAN;
    }
    CHECK(pooled(Tensor::from(poisoned, shape)) == expected);
    // Each side of a window is read: poison there shows.
    for (size_t n = 0; n < 3; ++n) {
      const Window& w = windows[n];
      for (const auto& [row, column] : {std::pair{w.top, w.left}, {w.bottom - 1, w.right - 1}}) {
        for (int64_t k = 0; k < 20; ++k) {
          poisoned = values;
          poisoned[size_t(((int64_t(n) * 14 + row) * 20 + k) * 2)] = NAN;
          if (k >= w.left && k < w.right && pooled(Tensor::from(poisoned, shape)) != expected)
            break;
          CHECK(k < 19);
        }
      }
    }
  }
}

TEST_CASE("roi_align: bad RoIs are refused") {
  const Variable x(Tensor::zeros({2, 4, 4, 1}));
  const auto align = [&](Roi roi) { roi_align(x, tensor_of({roi}), 1); };
  for (float image : {-1.f, 2.f, 0.5f, std::nanf("")})
    CHECK_THROWS_WITH_AS(align({image, 0, 0, 1, 1}), doctest::Contains("of image"), Error);
  for (float bad : {std::nanf(""), INFINITY, -1e9f})
    CHECK_THROWS_WITH_AS(align({0, 0, bad, 1, 1}), doctest::Contains("expected finite"), Error);
  const Tensor roi = tensor_of({{0, 0, 0, 1, 1}});
  CHECK_THROWS_WITH_AS(roi_align_levels({x}, {1}, roi, Tensor::from<int64_t>({1})),
                       doctest::Contains("level 1 of 1"), Error);
  CHECK_THROWS_WITH_AS(roi_align(x, roi.cast(DType::kF64), 1), doctest::Contains("expected f32"),
                       Error);
  CHECK_THROWS_WITH_AS(roi_align(x, Tensor::zeros({3, 4}), 1), doctest::Contains("rois"), Error);
  CHECK_THROWS_WITH_AS(roi_align(x, roi, 0), doctest::Contains("spatial scale"), Error);
}
