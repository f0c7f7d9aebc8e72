#include "layers/resnet.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/checkpoint.h"
#include "layers/elementwise.h"
#include "layers/fpn.h"
#include "layers/matmul.h"
#include "layers/pool2d.h"
#include "layers/reduce.h"
#include "tensor/backend.h"
#include "tests/close.h"
#include "tests/op_case.h"
#include "tests/shared.h"

using namespace bbam;

namespace {

Tensor picture(int64_t n, int64_t h, int64_t w) {
  return test::random_tensor({n, h, w, 3}, 5, -100, 100).cast(DType::kF32);
}

double largest(const Tensor& t) {
  double most = 0;
  for (const float v : t.to_vector<float>()) most = std::max(most, std::abs(double(v)));
  return most;
}

double distance(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<float>(), y = b.to_vector<float>();
  REQUIRE(x.size() == y.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(double(x[i]) - y[i]));
  return worst / largest(b);
}

}  // namespace

TEST_CASE("resnet: strides, widths and parameter counts of every depth") {
  // Trunks without classifier, torchvision's counts: parameters of convolutions and affine norms.
  const std::pair<int, int64_t> expected[]{
      {18, 11176512}, {34, 21284672}, {50, 23508032}, {101, 42500160}};
  for (const auto& [depth, count] : expected) {
    Initializer init(1);
    ResNet net({.depth = depth, .norm = Norm::kBatch}, init);
    int64_t parameters = 0;
    net.visit("", [&](const std::string&, Variable& v) {
      if (v.needs_grad()) parameters += v.value().size();
    });
    CHECK(parameters == count);
    const NoGrad frozen;
    if (depth == 101) continue;  // its blocks are those of ResNet-50
    const auto levels = net.forward(picture(1, 64, 96));
    for (size_t i = 0; i < 4; ++i)
      CHECK(levels[i].shape() == Shape{1, 16 >> i, 24 >> i, net.widths()[i]});
  }
  Initializer init(1);
  CHECK_THROWS_WITH_AS(ResNet({.depth = 20}, init),
                       "ResNet-20 is not known; expected depth 18, 34, 50, 101 or 152", Error);
}

TEST_CASE("resnet: a frozen norm folded into the convolution equals batch norm's inference") {
  const ResNetSpec frozen_spec{.depth = 50, .norm = Norm::kFrozen, .stem_width = 8};
  ResNetSpec batch_spec = frozen_spec;
  batch_spec.norm = Norm::kBatch;
  Initializer one(1), other(1);
  ResNet frozen(frozen_spec, one), batch(batch_spec, other);
  RandomSequence random(4);
  batch.visit("", [&](const std::string& name, Variable& v) {
    if (v.rank() != 1) return;
    std::vector<float> values;
    const bool is_positive = name.ends_with("var") || name.ends_with("weight");
    for (int64_t i = 0; i < v.dim(0); ++i)
      values.push_back(float(random.uniform(is_positive ? 0.5 : -0.5, is_positive ? 1.5 : 0.5)));
    v.mutable_value().copy_from(Tensor::from(values));
  });
  load_tensors(frozen, named_tensors(batch), "batch");
  const Tensor x = picture(1, 64, 64);
  const NoGrad constant;
  const auto a = frozen.forward(x), b = batch.forward(x);
  for (size_t i = 0; i < 4; ++i) CHECK(distance(a[i].value(), b[i].value()) < 1e-5);
  freeze(frozen);  // now the folded weights are kept
  for (size_t i = 0; i < 4; ++i) CHECK(distance(frozen.forward(x)[i].value(), b[i].value()) < 1e-5);
}

TEST_CASE("resnet: folded weights follow their sources") {
  Initializer init(1);
  ResNet net({.depth = 18, .stem_width = 8}, init);
  freeze(net);
  const Tensor x = picture(1, 32, 32);
  const Tensor before = net.forward(x)[3].value();
  net.visit("", [](const std::string& name, Variable& v) {
    if (name == "bn1.weight") v.mutable_value().fill(2);
  });
  CHECK(distance(net.forward(x)[3].value(), before) > 1e-3);
}

TEST_CASE("resnet: gradients reach every parameter that is not frozen, and no other") {
  for (Norm norm : {Norm::kFrozen, Norm::kBatch, Norm::kGroup}) {
    Initializer init(2);
    ResNet net({.depth = 18, .norm = norm, .groups = 4, .stem_width = 8}, init);
    net.set_training(true);
    net.freeze_stages(2);
    Variable total;
    for (const Variable& level : net.forward(picture(2, 64, 64)))
      total = total.defined() ? add(total, mean(square(level))) : mean(square(level));
    backward(total);
    net.visit("", [&](const std::string& name, Variable& v) {
      const bool is_early =
          name.starts_with("conv1") || name.starts_with("bn1") || name.starts_with("layer1");
      INFO(name);
      if (is_early || name.find("running") != std::string::npos) CHECK_FALSE(v.needs_grad());
      CHECK(v.grad().defined() == v.needs_grad());
    });
  }
}

// A stride that becomes a dilation computes the same numbers, and those between them.
TEST_CASE("resnet: METHOD B5, with output stride 8 every 4th pixel is one of output stride 32") {
  const Tensor x = picture(2, 75, 101);
  const NoGrad constant;
  for (const int depth : {18, 50}) {
    const auto levels_of = [&](int output_stride) {
      Initializer init(6);  // the same weights whatever the stride
      ResNet net({.depth = depth, .stem_width = 8, .output_stride = output_stride}, init);
      return net.forward(x);
    };
    const auto strided = levels_of(32);
    for (const int output_stride : {8, 16}) {
      const auto dense = levels_of(output_stride);
      for (size_t level = 0; level < 4; ++level) {
        const int64_t stride = std::min(4 << level, output_stride), step = (4 << level) / stride;
        const Shape shape = dense[level].shape();
        const Shape expected_shape{2, (75 + stride - 1) / stride, (101 + stride - 1) / stride,
                                   strided[level].dim(3)};
        CHECK(shape == expected_shape);
        // Basic blocks stride in a 3x3 convolution, whose dilation then begins a stage earlier.
        if (depth == 18 && step > 1) continue;
        const auto values = dense[level].value().to_vector<float>();
        std::vector<float> picked;
        for (int64_t n = 0; n < shape[0]; ++n)
          for (int64_t row = 0; row < shape[1]; row += step)
            for (int64_t column = 0; column < shape[2]; column += step)
              for (int64_t c = 0; c < shape[3]; ++c)
                picked.push_back(
                    values[size_t(((n * shape[1] + row) * shape[2] + column) * shape[3] + c)]);
        INFO("ResNet-", depth, ", output stride ", output_stride, ", C", level + 2);
        CHECK(distance(Tensor::from(picked, strided[level].shape()), strided[level].value()) <
              1e-5);
      }
    }
  }
}

// Where oneDNN spoiled residuals fused to dilated convolutions.
TEST_CASE("resnet: METHOD B5, dilations that reach beyond the map give what plain loops give") {
  const NoGrad constant;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{8, 8}, {65, 17}, {24, 40}}) {
    Initializer init(7);
    ResNet net({.depth = 18, .stem_width = 8, .output_stride = 8}, init);
    const Tensor x = picture(1, height, width);
    const auto levels = net.forward(x);
    const UseBackend plain(Backend::kReference);
    const auto expected = net.forward(x);
    INFO(height, " x ", width);
    for (size_t i = 0; i < 4; ++i) CHECK(distance(levels[i].value(), expected[i].value()) < 1e-5);
  }
}

TEST_CASE("resnet: METHOD B5, sizes of a 321 pixel crop and its smaller scales") {
  Initializer init(6);
  ResNet net({.depth = 50, .stem_width = 8, .output_stride = 8, .ceil_mode_pool = true}, init);
  const NoGrad constant;
  // Without ceil mode 160 and 240 pixels become 20 and 30.
  for (const auto& [side, cells] : {std::pair{160, 21}, {240, 31}, {321, 41}})
    CHECK(net.forward(picture(1, side, 65))[3].shape() == Shape{1, cells, 9, 256});
  CHECK_THROWS_WITH_AS(ResNet({.output_stride = 4}, init),
                       "ResNet: output stride 4; expected 8, 16 or 32", Error);
}

TEST_CASE("fpn: levels that nobody reads are not computed and change nothing") {
  Initializer init(3);
  ResNet body({.depth = 18, .stem_width = 8}, init);
  for (TopDown top_down : {TopDown::kBilinear, TopDown::kNearest}) {
    Fpn fpn(body.widths(), {.channels = 16, .top_down = top_down}, init);
    const NoGrad constant;
    const auto features = body.forward(picture(1, 72, 100));  // not a multiple of 32
    const auto all = fpn.forward(features);
    CHECK(all[0].shape() == Shape{1, 18, 25, 16});
    CHECK(all[3].shape() == Shape{1, 3, 4, 16});
    const auto some = fpn.forward(features, {{{}}, {{{0, 9, 0, 13}}}, {{}}, {{{0, 3, 0, 4}}}});
    CHECK_FALSE(some[0].defined());
    CHECK_FALSE(some[2].defined());
    CHECK(some[1].value().to_vector<float>() == all[1].value().to_vector<float>());
    CHECK(some[3].value().to_vector<float>() == all[3].value().to_vector<float>());
  }
}

TEST_CASE(
    "resnet: ImageNet ResNet-50 of the published weights gives the golden activations and logits") {
  const std::string path = test::shared_path("weights/resnet50_msra_imagenet.pth");
  BBAM_SKIP_WITHOUT(path, "the ImageNet ResNet-50");
  auto tensors = read_weights(path);
  for (auto& [name, tensor] : tensors)
    if (tensor.rank() == 4) tensor = oihw_to_ohwi(tensor);
  Initializer init(1);
  ResNet net({.depth = 50}, init);
  const auto unused = load_tensors(net, tensors, path);
  CHECK(unused == std::vector<std::string>{"fc.bias", "fc.weight"});

  const double mean_bgr[3]{103.939, 116.779, 123.68};
  std::vector<float> pixels;
  for (int h = 0; h < 224; ++h)
    for (int w = 0; w < 224; ++w)
      for (int c = 0; c < 3; ++c)
        pixels.push_back(float((7 * h + 13 * w + 29 * c) % 256 - mean_bgr[c]));
  const NoGrad constant;
  const auto levels = net.forward(Tensor::from(pixels, {1, 224, 224, 3}));
  // weights/README.md: mean and greatest value, and element [0,0,0,0].
  const double golden[4][3]{{1.38169712, 17.611593, 0},
                            {1.14707991, 23.399330, 0.4412927},
                            {0.46459243, 17.524551, 0.6911297},
                            {0.49065619, 25.761291, 0}};
  for (size_t i = 0; i < 4; ++i) {
    const auto values = levels[i].value().to_vector<float>();
    double sum = 0;
    for (const float v : values) sum += v;
    CHECK(sum / double(values.size()) == test::close_to(golden[i][0], 1e-4));
    CHECK(largest(levels[i].value()) == test::close_to(golden[i][1], 1e-4));
    CHECK(values[0] == test::close_to(golden[i][2], 1e-4));
  }
  const Variable logits = linear(global_avg_pool(levels[3]), Variable(tensors.at("fc.weight")),
                                 Variable(tensors.at("fc.bias")));
  const auto scores = logits.value().to_vector<float>();
  const std::pair<size_t, double> best[]{
      {905, 20.28472}, {687, 19.55491}, {581, 15.30509}, {904, 13.87264}, {545, 13.85378}};
  for (const auto& [index, value] : best) CHECK(scores[index] == test::close_to(value, 1e-4));
  CHECK(std::max_element(scores.begin(), scores.end()) - scores.begin() == 905);
}
