#include "segmenters/instance_crf.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "segmenters/paste_masks.h"
#include "tests/close.h"
#include "tests/op_case.h"

using namespace bbam;

namespace {

// A mask as paste_mask draws it: values in the window, 0 outside.
Tensor random_mask(const Window& w, int64_t height, int64_t width, uint64_t seed) {
  const auto noise = test::random_tensor({height, width}, seed, 0, 1).to_vector<double>();
  std::vector<float> values;
  for (int64_t i = 0; i < height * width; ++i) {
    const int64_t y = i / width, x = i % width;
    const bool is_inside = y >= w.top && y < w.bottom && x >= w.left && x < w.right;
    values.push_back(is_inside ? float(noise[size_t(i)]) : 0.f);
  }
  return Tensor::from(values, {height, width});
}

// Two colours that meet in a slanted line.
Tensor two_colours(int64_t height, int64_t width) {
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < height * width; ++i) {
    const bool right = i % width > width / 2 + i / width / 4;
    for (const int level : {right ? 200 : 40, right ? 90 : 120, 60})
      pixels.push_back(uint8_t(level));
  }
  return Tensor::from(pixels, {height, width, 3});
}

// METHOD B4: the share of the window's pixels becomes certain, by sorting.
std::vector<double> plain_rescaled(const Tensor& mask, const Window& w, double share) {
  const auto m = mask.to_vector<float>();
  std::vector<double> values;
  for (int64_t y = w.top; y < w.bottom; ++y)
    for (int64_t x = w.left; x < w.right; ++x) values.push_back(m[size_t(y * mask.dim(1) + x)]);
  std::sort(values.begin(), values.end(), std::greater<>());
  const double divisor = values[size_t(double(values.size()) * share)] + 1e-8;
  std::vector<double> rescaled;
  for (const float v : m) rescaled.push_back(std::min(double(v) / divisor, 1.0));
  return rescaled;
}

// Bilinear, half-pixel corners: (h, w, C) in rows of doubles -> (height, width, C).
std::vector<double> plain_resized(const std::vector<double>& from, int64_t h, int64_t w, int64_t c,
                                  int64_t height, int64_t width) {
  const auto place = [](int64_t o, int64_t in, int64_t out) {
    return std::max((double(o) + 0.5) * double(in) / double(out) - 0.5, 0.0);
  };
  std::vector<double> to;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t k = 0; k < c; ++k) {
        const double v = place(y, h, height), u = place(x, w, width);
        const auto at = [&](int64_t row, int64_t column) {
          return from[size_t((std::min(row, h - 1) * w + std::min(column, w - 1)) * c + k)];
        };
        const auto y0 = int64_t(v), x0 = int64_t(u);
        const double b = v - double(y0), a = u - double(x0);
        to.push_back((1 - b) * ((1 - a) * at(y0, x0) + a * at(y0, x0 + 1)) +
                     b * ((1 - a) * at(y0 + 1, x0) + a * at(y0 + 1, x0 + 1)));
      }
  return to;
}

Tensor f32(const std::vector<double>& values, Shape shape) {
  return Tensor::from(std::vector<float>(values.begin(), values.end()), shape);
}

double worst_difference(const Tensor& got, const std::vector<double>& expected) {
  const auto values = got.to(kCpu).to_vector<float>();
  REQUIRE(values.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::abs(values[i] - expected[i]));
  return worst;
}

}  // namespace

TEST_CASE("instance crf: METHOD B4, the constants") {
  const InstanceCrfSpec spec;
  CHECK(spec.crf.iterations == 10);
  CHECK(spec.crf.smoothness_sigma_px == 1);
  CHECK(spec.crf.smoothness_weight == 3);
  CHECK(spec.crf.appearance_sigma_px == 67);
  CHECK(spec.crf.appearance_sigma_levels == 3);
  CHECK(spec.crf.appearance_weight == 4);
  CHECK(spec.certain_share == 0.15);
  CHECK(spec.zoom_below_px == 20000);
  CHECK(spec.zoom == 3);
}

TEST_CASE("instance crf: METHOD B4, the greatest 15 % of a window become certain") {
  // Without iterations the marginals are the probabilities that the CRF was given.
  InstanceCrfSpec spec{.zoom = 1};
  spec.crf.iterations = 0;
  const int64_t height = 40, width = 50;
  const Window large{3, 37, 5, 48}, edge{35, 40, 30, 50}, tiny{10, 20, 20, 30};
  const std::vector<Window> windows{large, edge, tiny};
  std::vector<Tensor> masks;
  for (const Window& w : windows) masks.push_back(random_mask(w, height, width, 70 + masks.size()));
  const Tensor photograph = two_colours(height, width);
  for (Device device : available_devices()) {
    std::vector<Tensor> there;
    for (const Tensor& mask : masks) there.push_back(mask.to(device));
    const auto refined = refine_instances(there, windows, photograph.to(device), spec);
    REQUIRE(refined.size() == 3);
    for (size_t k = 0; k < 3; ++k) {
      INFO("window ", k);
      const double share = k == 1 || k == 2 ? 0.2 : 0.15;  // 100 pixels each
      CHECK(worst_difference(refined[k], plain_rescaled(masks[k], windows[k], share)) < 2e-5);
    }
  }
  // A mask of which less than that is above 0: all of it becomes certain.
  Tensor few = Tensor::zeros({height, width});
  few.mutable_data<float>()[10 * width + 10] = 0.01f;
  const Tensor certain = refine_instances({few}, {large}, photograph, spec)[0];
  CHECK(certain.data<float>()[10 * width + 10] > 0.9999f);
  CHECK(certain.data<float>()[10 * width + 11] < 2e-5f);
}

TEST_CASE("instance crf: METHOD B4, large objects get the CRF of the whole picture") {
  const int64_t height = 60, width = 80;
  const std::vector<Window> windows{{5, 50, 10, 60}, {20, 60, 30, 80}};
  InstanceCrfSpec spec{.zoom_below_px = 1000};
  const Tensor photograph = two_colours(height, width);
  const std::vector<Tensor> masks{random_mask(windows[0], height, width, 80),
                                  random_mask(windows[1], height, width, 81)};
  const auto refined = refine_instances(masks, windows, photograph, spec);
  for (size_t k = 0; k < 2; ++k) {
    // Two labels, as the authors put it, of one object alone.
    std::vector<double> both;
    for (const double p : plain_rescaled(masks[k], windows[k], 0.15)) {
      both.push_back(1 - p);
      both.push_back(p);
    }
    const auto marginals = DenseCrf(photograph, kDeepLabCrf)
                               .infer(unary_from_probabilities(f32(both, {height, width, 2})))
                               .to_vector<float>();
    std::vector<double> expected;
    for (size_t i = 1; i < marginals.size(); i += 2) expected.push_back(marginals[i]);
    CHECK(worst_difference(refined[k], expected) < 1e-4);
  }
}

TEST_CASE("instance crf: METHOD B4, small objects are stretched three times") {
  const int64_t height = 51, width = 66;
  const Window window{12, 27, 30, 45};
  const Tensor mask = random_mask(window, height, width, 90),
               photograph = two_colours(height, width);
  const auto refined = refine_instances({mask}, {window}, photograph);
  // A third of the picture, and two thirds of the window: rows 8 to 35, columns 20 to 52.
  const Window part = zoomed_part(window, 3, height, width);
  CHECK(part == Window{8, 35, 20, 52});
  const int64_t h = 27, w = 32;
  const auto of_part = [&](const std::vector<double>& whole, int64_t channels) {
    std::vector<double> values;
    for (int64_t y = 8; y < 35; ++y)
      for (int64_t i = 20 * channels; i < 52 * channels; ++i)
        values.push_back(whole[size_t(y * width * channels + i)]);
    return values;
  };
  const auto bytes = photograph.to_vector<uint8_t>();
  std::vector<uint8_t> levels;
  for (const double v :
       plain_resized(of_part({bytes.begin(), bytes.end()}, 3), h, w, 3, height, width))
    levels.push_back(uint8_t(std::lround(v)));
  const auto stretched =
      plain_resized(of_part(plain_rescaled(mask, window, 0.15), 1), h, w, 1, height, width);
  const auto marginals = DenseCrf(Tensor::from(levels, {height, width, 3}), kDeepLabCrf)
                             .infer_foreground(f32(stretched, {height, width, 1}))
                             .to_vector<float>();
  const auto back = plain_resized({marginals.begin(), marginals.end()}, height, width, 1, h, w);
  std::vector<double> expected(size_t(height * width));
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x)
      expected[size_t((y + 8) * width + x + 20)] = back[size_t(y * w + x)];
  CHECK(worst_difference(refined[0], expected) < 1e-3);
}

TEST_CASE("instance crf: the stretched part holds its window and stays in the picture") {
  for (int64_t height = 1; height < 12; ++height)
    for (int64_t top = 0; top < height; ++top)
      for (int64_t bottom = top + 1; bottom <= height; ++bottom)
        for (const double zoom : {1.0, 1.5, 3.0, 10.0}) {
          const Window part = zoomed_part({top, bottom, top, bottom}, zoom, height, height);
          REQUIRE((part.top >= 0 && part.top <= top));
          REQUIRE((part.bottom >= bottom && part.bottom <= height));
          REQUIRE((part.left == part.top && part.right == part.bottom));
        }
}

TEST_CASE("instance crf: a mask that is drawn too large takes the object's outline") {
  // A bright square of 16 x 16 in the dark; the mask covers 20 x 20, vaguely.
  const int64_t height = 48, width = 64;
  std::vector<uint8_t> pixels;
  std::vector<float> truth;
  for (int64_t i = 0; i < height * width; ++i) {
    const int64_t y = i / width, x = i % width;
    const bool is_object = y >= 14 && y < 30 && x >= 22 && x < 38;
    truth.push_back(is_object);
    for (int c = 0; c < 3; ++c) pixels.push_back(is_object ? 220 : 30);
  }
  std::vector<float> cells;
  for (int64_t i = 0; i < 28 * 28; ++i) {
    const double dy = double(i / 28) - 13.5, dx = double(i % 28) - 13.5;
    cells.push_back(float(std::exp(-(dx * dx + dy * dy) / 150)));
  }
  const Box<float> box{20, 12, 40, 32};
  const FrameSize frame{.height = height, .width = width};
  const Tensor mask = paste_mask(Tensor::from(cells, {28, 28}), box, frame);
  const Window window = pasted_window(box, 28, frame);
  const Tensor refined =
      refine_instances({mask}, {window}, Tensor::from(pixels, {height, width, 3}))[0];
  const auto wrong = [&](const Tensor& probabilities) {
    const auto above = pasted_above(probabilities).to_vector<uint8_t>();
    int64_t count = 0;
    for (size_t i = 0; i < above.size(); ++i) count += above[i] != uint8_t(truth[i]);
    return count;
  };
  MESSAGE("wrong pixels of 256: ", wrong(mask), " -> ", wrong(refined));
  CHECK(wrong(mask) > 80);
  CHECK(wrong(refined) < 50);
}

TEST_CASE("instance crf: the window of a mask is what paste_mask draws on") {
  const FrameSize frame{.height = 30, .width = 40};
  for (const Box<float>& box : {Box<float>{5, 8, 33, 22}, Box<float>{-4, -7, 12, 9},
                                Box<float>{30, 20, 55, 41}, Box<float>{10, 10, 11, 11}}) {
    const Window w = pasted_window(box, 28, frame);
    const auto drawn = paste_mask(Tensor::full({28, 28}, 1), box, frame).to_vector<float>();
    Window seen{frame.height, 0, frame.width, 0};
    for (int64_t i = 0; i < int64_t(drawn.size()); ++i)
      if (drawn[size_t(i)] > 0) {
        seen.top = std::min(seen.top, i / 40);
        seen.bottom = std::max(seen.bottom, i / 40 + 1);
        seen.left = std::min(seen.left, i % 40);
        seen.right = std::max(seen.right, i % 40 + 1);
      }
    CHECK(w == seen);
  }
  CHECK(pasted_window({100, 100, 120, 120}, 28, frame).empty());
  CHECK_THROWS_AS(pasted_window({0, 0, NAN, 1}, 28, frame), Error);
}

TEST_CASE("instance crf: nothing to refine, and what makes no sense") {
  const Tensor photograph = two_colours(20, 30), mask = Tensor::zeros({20, 30});
  CHECK(refine_instances({}, {}, photograph).empty());
  const auto none = refine_instances({mask}, {Window{}}, photograph)[0];
  CHECK(none.shape() == Shape{20, 30});
  CHECK(none.to_vector<float>() == std::vector<float>(600, 0.f));
  const Window window{2, 9, 3, 8};
  const auto refused = [&](const std::vector<Tensor>& masks, const std::vector<Window>& windows,
                           const InstanceCrfSpec& spec, const char* part) {
    CHECK_THROWS_WITH_AS(refine_instances(masks, windows, photograph, spec),
                         doctest::Contains(part), Error);
  };
  refused({mask}, {}, {}, "1 masks, 0 windows");
  refused({Tensor::zeros({20, 31})}, {window}, {}, "mask 0 is");
  refused({mask.cast(DType::kF64)}, {window}, {}, "expected f32");
  refused({mask}, {Window{2, 21, 3, 8}}, {}, "leaves the picture");
  refused({mask}, {window}, {.certain_share = 1}, "certain share 1");
  refused({mask}, {window}, {.zoom = 0.5}, "zoom 0.5");
  CHECK_THROWS_AS(refine_instances({mask}, {window}, photograph.cast(DType::kF32)), Error);
}
