#include "segmenters/deeplab.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/gradcheck.h"
#include "tests/close.h"
#include "tests/detectors/one_thread.h"
#include "tests/determinism.h"
#include "tests/op_case.h"
#include "tests/segmenters/tiny_deeplab.h"

using namespace bbam;
using namespace bbam::test;

namespace {

Tensor picture(Shape shape) { return random_tensor(shape, 31, -2, 2).cast(DType::kF32); }

Tensor label_map(Shape shape, int64_t classes, uint64_t seed = 32) {
  const Random random(seed);
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < shape.size(); ++i) {
    const int64_t label = random.below(uint64_t(i), classes + 1);
    labels.push_back(uint8_t(label == classes ? kIgnoredLabel : label));
  }
  return Tensor::from(labels, shape);
}

// Element n, y, x, c of an (N, H, W, C) tensor.
struct Map {
  explicit Map(const Tensor& t)
      : values(t.cast(DType::kF64).to_vector<double>()), height(t.dim(1)), width(t.dim(2)),
        channels(t.dim(3)) {}
  double at(int64_t n, int64_t y, int64_t x, int64_t c) const {
    return values[size_t(((n * height + y) * width + x) * channels + c)];
  }
  // Bilinear, half-pixel corners, for a map of (to_height, to_width).
  double between(int64_t n, int64_t y, int64_t x, int64_t c, int64_t to_height,
                 int64_t to_width) const {
    const auto place = [](int64_t o, int64_t from, int64_t to) {
      return std::clamp((double(o) + 0.5) * double(from) / double(to) - 0.5, 0.0, double(from - 1));
    };
    const double v = place(y, height, to_height), u = place(x, width, to_width);
    const auto y0 = int64_t(v), x0 = int64_t(u);
    const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
    const double b = v - double(y0), a = u - double(x0);
    return (1 - b) * ((1 - a) * at(n, y0, x0, c) + a * at(n, y0, x1, c)) +
           b * ((1 - a) * at(n, y1, x0, c) + a * at(n, y1, x1, c));
  }

  std::vector<double> values;
  int64_t height, width, channels;
};

// The mean of -log softmax over the pixels that count, each labelled by the pixel of `labels` under
// its middle.
double entropy_of(const Tensor& logits, const Tensor& labels) {
  const Map map(logits);
  const auto label = labels.to_vector<uint8_t>();
  const int64_t height = labels.dim(1), width = labels.dim(2);
  double sum = 0, count = 0;
  for (int64_t n = 0; n < labels.dim(0); ++n)
    for (int64_t y = 0; y < map.height; ++y)
      for (int64_t x = 0; x < map.width; ++x) {
        const auto v = int64_t((double(y) + 0.5) * double(height) / double(map.height));
        const auto u = int64_t((double(x) + 0.5) * double(width) / double(map.width));
        const int64_t wanted = label[size_t((n * height + v) * width + u)];
        if (wanted == 255) continue;
        double total = 0;
        for (int64_t c = 0; c < map.channels; ++c) total += std::exp(map.at(n, y, x, c));
        sum += std::log(total) - map.at(n, y, x, wanted);
        count += 1;
      }
  return count > 0 ? sum / count : 0;
}

}  // namespace

TEST_CASE("deeplab: METHOD B5, constants") {
  const DeepLabSpec spec;
  CHECK(spec.classes == 21);
  CHECK(spec.resnet.depth == 101);
  CHECK(spec.resnet.stride_in_1x1);
  CHECK(spec.resnet.norm == Norm::kFrozen);
  CHECK(spec.resnet.output_stride == 8);
  CHECK(spec.resnet.ceil_mode_pool);
  CHECK(spec.aspp_rates == std::vector<int>{6, 12, 18, 24});
  CHECK(spec.scales == std::vector<double>{0.5, 0.75});
}

TEST_CASE(
    "deeplab: METHOD B5, ASPP's weights start as N(0, 0.01), its biases as 0; norms are constant") {
  DeepLab model({.classes = 5, .resnet = {.depth = 50, .stem_width = 16, .output_stride = 8}}, 3);
  int weights = 0;
  model.visit("", [&](const std::string& name, Variable& variable) {
    INFO(name);
    const bool is_norm = variable.rank() == 1 && name.starts_with("backbone.");
    CHECK(variable.needs_grad() == !is_norm);
    if (!name.starts_with("aspp.")) return;
    const auto values = variable.value().to_vector<float>();
    if (name.ends_with("bias")) {
      CHECK(values == std::vector<float>(5, 0.f));
      return;
    }
    double mean = 0, square = 0;
    for (const float value : values) mean += value / double(values.size());
    for (const float value : values) square += value * value / double(values.size());
    CHECK(std::abs(mean) < 3e-4);
    CHECK(std::sqrt(square) == close_to(0.01, 0.02));
    ++weights;
  });
  CHECK(weights == 4);
}

TEST_CASE("deeplab: METHOD B5, ASPP is the sum of its dilated convolutions") {
  const int64_t channels = 3, classes = 2;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{7, 9}, {1, 1}, {30, 26}}) {
    Initializer init(4);
    Aspp aspp(channels, classes, {6, 12, 18, 24}, init);
    for (size_t k = 0; k < 4; ++k)
      aspp.branches[k].bias.mutable_value().copy_from(
          random_tensor({classes}, 40 + k).cast(DType::kF32));
    const Tensor x = random_tensor({2, height, width, channels}, 41).cast(DType::kF32);
    const Map map(x), result(aspp(x).value());
    CHECK(result.height == height);
    CHECK(result.width == width);
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t row = 0; row < height; ++row)
        for (int64_t column = 0; column < width; ++column)
          for (int64_t k = 0; k < classes; ++k) {
            double sum = 0;
            for (size_t b = 0; b < 4; ++b) {
              const Map weight(aspp.branches[b].weight.value());
              sum += aspp.branches[b].bias.value().to_vector<float>()[size_t(k)];
              const int64_t rate = 6 * int64_t(b + 1);
              for (int64_t dy = -1; dy <= 1; ++dy)
                for (int64_t dx = -1; dx <= 1; ++dx) {
                  const int64_t y = row + rate * dy, u = column + rate * dx;
                  if (y < 0 || y >= height || u < 0 || u >= width) continue;
                  for (int64_t c = 0; c < channels; ++c)
                    sum += weight.at(k, dy + 1, dx + 1, c) * map.at(n, y, u, c);
                }
            }
            REQUIRE(result.at(n, row, column, k) == close_to(sum, 1e-4, 0.01));
          }
  }
}

TEST_CASE("deeplab: METHOD B5, outputs at scales 1, 0.5 and 0.75 and their maximum, odd extents") {
  const OneThread one_thread;
  DeepLab model(tiny_deeplab_spec(), 5);
  enlarge_aspp(model);
  const NoGrad constant;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{97, 131}, {17, 9}, {2, 2}}) {
    const Tensor images = picture({2, height, width, 3});
    const MultiScaleLogits output = model.multi_scale_logits(images);
    REQUIRE(output.of_scale.size() == 3);
    CHECK(output.of_scale[0].value().to_vector<float>() ==
          model.logits(images).value().to_vector<float>());
    const Map source(images);
    std::vector<Map> maps;
    for (size_t k = 0; k < 3; ++k) {
      // Asked by itself, a picture scaled by plain code gives the same.
      const double scale = std::vector{1.0, 0.5, 0.75}[k];
      const auto h = int64_t(double(height) * scale), w = int64_t(double(width) * scale);
      std::vector<float> pixels;
      for (int64_t n = 0; n < 2; ++n)
        for (int64_t y = 0; y < h; ++y)
          for (int64_t x = 0; x < w; ++x)
            for (int64_t c = 0; c < 3; ++c)
              pixels.push_back(float(source.between(n, y, x, c, h, w)));
      const Map expected(model.logits(Tensor::from(pixels, {2, h, w, 3})).value());
      maps.emplace_back(output.of_scale[k].value());
      REQUIRE(maps[k].values.size() == expected.values.size());
      for (size_t i = 0; i < expected.values.size(); ++i)
        REQUIRE(maps[k].values[i] == close_to(expected.values[i], 1e-3, 1));
    }
    const Map most(output.maximum.value());
    CHECK(most.height == maps[0].height);
    CHECK(most.width == maps[0].width);
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t y = 0; y < most.height; ++y)
        for (int64_t x = 0; x < most.width; ++x)
          for (int64_t c = 0; c < 4; ++c) {
            double expected = -INFINITY;
            for (const Map& map : maps)
              expected = std::max(expected, map.between(n, y, x, c, most.height, most.width));
            REQUIRE(most.at(n, y, x, c) == close_to(expected, 1e-5, 1));
          }
  }
}

TEST_CASE("deeplab: METHOD B5, extents of logits of a crop of 321 pixels") {
  const OneThread one_thread;
  DeepLab model(tiny_deeplab_spec(), 6);
  const NoGrad constant;
  const MultiScaleLogits output = model.multi_scale_logits(picture({1, 321, 321, 3}));
  CHECK(output.of_scale[0].shape() == Shape{1, 41, 41, 4});
  CHECK(output.of_scale[1].shape() == Shape{1, 21, 21, 4});
  CHECK(output.of_scale[2].shape() == Shape{1, 31, 31, 4});
  CHECK(output.maximum.shape() == Shape{1, 41, 41, 4});
}

TEST_CASE("deeplab: METHOD B5, cross entropy of each output at its own size, void left out") {
  const OneThread one_thread;
  DeepLab model(tiny_deeplab_spec(), 7);
  enlarge_aspp(model);
  const NoGrad constant;
  const Tensor images = picture({2, 67, 45, 3}), labels = label_map({2, 67, 45}, 4);
  const MultiScaleLogits output = model.multi_scale_logits(images);
  const DeepLabLosses losses = model.losses(images, labels);
  double total = 0;
  for (size_t k = 0; k < 3; ++k) {
    const double expected = entropy_of(output.of_scale[k].value(), labels);
    CHECK(losses.of_scale[k].value().scalar() == close_to(expected, 1e-5));
    total += expected;
  }
  const double expected = entropy_of(output.maximum.value(), labels);
  CHECK(losses.maximum.value().scalar() == close_to(expected, 1e-5));
  CHECK(losses.total().value().scalar() == close_to(total + expected, 1e-5));

  const Tensor nothing = Tensor::full({2, 67, 45}, 255, DType::kU8);
  CHECK(model.losses(images, nothing).total().value().scalar() == 0);
}

namespace {

// -log softmax of row p at its label.
double entropy_of_row(const std::vector<double>& logits, size_t classes, size_t p, int64_t label) {
  double sum = 0;
  for (size_t c = 0; c < classes; ++c) sum += std::exp(logits[p * classes + c]);
  return std::log(sum) - logits[p * classes + size_t(label)];
}

// METHOD B5, weakly supervised variants: each kind of pixels by itself.
double balanced_oracle(const std::vector<double>& logits, size_t classes,
                       const std::vector<int64_t>& labels) {
  double sums[2] = {}, counts[2] = {};
  for (size_t p = 0; p < labels.size(); ++p) {
    if (labels[p] == 255) continue;
    sums[labels[p] > 0] += entropy_of_row(logits, classes, p, labels[p]);
    counts[labels[p] > 0] += 1;
  }
  double loss = 0;
  for (const int kind : {0, 1})
    if (counts[kind] > 0) loss += sums[kind] / counts[kind] / 2;
  return loss;
}

Example balanced_example(const char* what, Shape shape, const std::vector<int64_t>& labels) {
  const Tensor kinds = Tensor::from(labels, {int64_t(labels.size())});
  const auto classes = size_t(shape[1]);
  return {
      .what = what,
      .inputs = {random_tensor(shape, 75, -2, 2)},
      .op =
          [kinds](const std::vector<Variable>& v) {
            return deeplab_loss(v[0], kinds, DeepLabLoss::kBalanced);
          },
      .oracle =
          [=](const std::vector<Tensor>& in) {
            return std::vector<double>{balanced_oracle(in[0].to_vector<double>(), classes, labels)};
          },
      .shape = Shape{}};
}

}  // namespace

TEST_CASE("op deeplab_loss balanced") {
  std::vector<int64_t> many;
  const Random random(76);
  for (uint64_t i = 0; i < 301; ++i)
    many.push_back(random.below(i, 5) == 0 ? 255
                                           : std::max<int64_t>(0, random.below(i + 999, 9) - 4));
  run({.op = "deeplab_loss",
       .examples = {balanced_example("odd", {301, 5}, many),
                    balanced_example("one of each", {3, 2}, {1, 255, 0}),
                    balanced_example("no foreground", {4, 3}, {0, 0, 255, 0}),
                    balanced_example("no background", {3, 4}, {3, 1, 255}),
                    balanced_example("nothing labelled", {2, 3}, {255, 255}),
                    balanced_example("no pixels", {0, 3}, {})}});
}

TEST_CASE("deeplab: METHOD B5, balanced cross entropy of background and foreground") {
  const OneThread one_thread;
  DeepLabSpec spec = tiny_deeplab_spec();
  spec.loss = DeepLabLoss::kBalanced;
  DeepLab model(spec, 7);
  enlarge_aspp(model);
  const NoGrad constant;
  const Tensor images = picture({2, 67, 45, 3}), labels = label_map({2, 67, 45}, 4);
  const MultiScaleLogits output = model.multi_scale_logits(images);
  const DeepLabLosses losses = model.losses(images, labels);
  const auto expected = [&](const Variable& logits) {
    return balanced_oracle(
        logits.value().cast(DType::kF64).to_vector<double>(), 4,
        resize_labels(labels, logits.dim(1), logits.dim(2)).to_vector<int64_t>());
  };
  for (size_t k = 0; k < 3; ++k)
    CHECK(losses.of_scale[k].value().scalar() == close_to(expected(output.of_scale[k]), 1e-5));
  CHECK(losses.maximum.value().scalar() == close_to(expected(output.maximum), 1e-5));
}

TEST_CASE("deeplab: labels are resized by the pixel under the middle of each cell") {
  const Tensor labels = label_map({2, 5, 8}, 20);
  const auto value = labels.to_vector<uint8_t>();
  CHECK(resize_labels(labels, 5, 8).to_vector<int64_t>() ==
        std::vector<int64_t>(value.begin(), value.end()));
  // Rows 0.83, 2.5, 4.17; columns 2, 6.
  std::vector<int64_t> expected;
  for (int64_t n = 0; n < 2; ++n)
    for (const int64_t y : {0, 2, 4})
      for (const int64_t x : {2, 6}) expected.push_back(value[size_t((n * 5 + y) * 8 + x)]);
  CHECK(resize_labels(labels, 3, 2).to_vector<int64_t>() == expected);
  CHECK(resize_labels(Tensor::zeros({0, 5, 8}, DType::kU8), 3, 2).size() == 0);
  CHECK_THROWS_AS(resize_labels(Tensor::zeros({1, 0, 8}, DType::kU8), 3, 2), Error);
  CHECK_THROWS_WITH_AS(resize_labels(Tensor::zeros({1, 5, 8}), 3, 2),
                       doctest::Contains("expected u8"), Error);
}

TEST_CASE("deeplab: gradient of the loss in double, by pictures and parameters") {
  const OneThread one_thread;
  DeepLabSpec spec = tiny_deeplab_spec(3);
  spec.resnet.stem_width = 2;
  spec.aspp_rates = {1, 2};
  DeepLab model(spec, 8);
  enlarge_aspp(model);
  std::vector<Tensor> inputs{random_tensor({2, 19, 27, 3}, 50, -2, 2)};
  std::set<std::string> trained;
  model.visit("", [&](const std::string& name, Variable& variable) {
    variable = Variable(variable.value().cast(DType::kF64), variable.needs_grad());
    if (!variable.needs_grad()) return;
    inputs.push_back(variable.value());
    trained.insert(name);
  });
  const Tensor labels = label_map({2, 19, 27}, 3);
  const auto result = gradcheck(
      [&](const std::vector<Variable>& v) {
        size_t next = 1;
        model.visit("", [&](const std::string& name, Variable& variable) {
          if (trained.contains(name)) variable = v[next++];
        });
        return model.losses(v[0], labels).total();
      },
      inputs, {}, {.step = 1e-6, .most = 60});
  INFO(result.where);
  CHECK(result.checked > 800);
  CHECK(result.worst < 1e-6);
}

TEST_CASE("deeplab: the same bytes for any number of threads") {
  DeepLab model(tiny_deeplab_spec(), 9);
  const Tensor labels = label_map({2, 65, 49}, 4);
  check_same_bytes(
      [&](const std::vector<Variable>& v) {
        move_to(model, v[0].device());
        return model.losses(v[0], labels).total();
      },
      {random_tensor({2, 65, 49, 3}, 51, -2, 2)});
}

TEST_CASE("deeplab: what makes no sense is refused") {
  const auto with = [](auto change) {
    DeepLabSpec spec = tiny_deeplab_spec();
    change(spec);
    return spec;
  };
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.classes = 1; }), 1), Error);
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.classes = 256; }), 1), Error);
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.aspp_rates = {}; }), 1), Error);
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.aspp_rates = {0}; }), 1), Error);
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.scales = {}; }), 1), Error);
  CHECK_THROWS_AS(DeepLab(with([](DeepLabSpec& s) { s.scales = {0}; }), 1), Error);
  DeepLab model(tiny_deeplab_spec(), 1);
  CHECK_THROWS_WITH_AS(model.multi_scale_logits(picture({1, 1, 40, 3})),
                       doctest::Contains("at scale 0.5 have no pixels left"), Error);
  CHECK_THROWS_AS(model.multi_scale_logits(picture({1, 40, 40, 4})), Error);
  CHECK_THROWS_AS(model.losses(picture({1, 40, 41, 3}), label_map({1, 41, 40}, 4)), Error);
  CHECK_THROWS_WITH_AS(
      model.losses(picture({1, 40, 40, 3}), Tensor::full({1, 40, 40}, 4, DType::kU8)),
      doctest::Contains("label 4"), Error);
}
