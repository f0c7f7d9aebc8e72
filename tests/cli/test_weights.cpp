// Weights of a trunk as `bbam train detector --init` takes them.
#include "cli/weights.h"

#include <doctest/doctest.h>

#include "cli/detector_file.h"
#include "layers/checkpoint.h"
#include "tensor/files.h"
#include "tensor/random.h"
#include "tests/shared.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::TempFolder;

namespace {

Tensor drawn(Shape shape, double mean, double deviation) {
  RandomSequence random(7);
  std::vector<float> values(size_t(shape.size()));
  for (float& value : values) value = float(mean + deviation * random.normal());
  return Tensor::from(values, shape);
}

// A pickle of a dict of f4 arrays, as Python 2 wrote Detectron's files.
std::string pickled(const TensorMap& tensors) {
  using namespace std::string_literals;
  const auto number = [](int64_t n) {
    std::string bytes = "J";
    for (int i = 0; i < 4; ++i) bytes += char(n >> (8 * i));
    return bytes;
  };
  std::string bytes = "}(";
  for (const auto& [name, tensor] : tensors) {
    bytes += "U"s + char(name.size()) + name +
             "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR(K\1("s;
    for (int i = 0; i < tensor.rank(); ++i) bytes += number(tensor.dim(i));
    bytes += "tcnumpy\ndtype\n(U\2f4\x89\x88tR(K\3U\1<tb\x89T"s +
             number(int64_t(tensor.bytes())).substr(1);
    bytes.append(static_cast<const char*>(tensor.raw()), tensor.bytes());
    bytes += "tb";
  }
  return bytes + "u.";
}

// The tensors of a small ResNet-50 under Detectron's names, in its layout.
TensorMap small_detectron_file() {
  const int blocks[] = {3, 4, 6, 3};
  TensorMap tensors;
  const auto add = [&](const std::string& conv, const std::string& norm, Shape shape) {
    tensors[conv + "_w"] = drawn(shape, 0, 0.1);
    tensors[norm + "_s"] = drawn({shape[0]}, 1, 0.1);
    tensors[norm + "_b"] = drawn({shape[0]}, 0, 0.1);
  };
  add("conv1", "res_conv1_bn", {8, 3, 7, 7});
  int64_t in = 8;
  for (int stage = 0; stage < 4; ++stage)
    for (int b = 0; b < blocks[stage]; ++b) {
      const int64_t width = 8 << stage, out = 4 * width;
      const std::string name = join("res", stage + 2, "_", b, "_branch");
      const auto branch = [&](const char* which, Shape shape) {
        add(name + which, name + which + "_bn", shape);
      };
      if (b == 0) branch("1", {out, in, 1, 1});
      branch("2a", {width, in, 1, 1});
      branch("2b", {width, width, 3, 3});
      branch("2c", {out, width, 1, 1});
      in = out;
    }
  return tensors;
}

TensorMap stem(double weight_deviation, double variance, double spread) {
  return {{"conv1.weight", drawn({64, 3, 7, 7}, 0, weight_deviation)},
          {"bn1.running_var", drawn({64}, variance, spread)}};
}

}  // namespace

TEST_CASE("trunk weights: a Detectron file is loaded into a detector, bare or below 'blobs'") {
  TempFolder folder;
  const TensorMap theirs = small_detectron_file();
  write_file(folder.path("R-50.pkl"), pickled(theirs));
  write_file(folder.path("blobs.pkl"),
             "}U\5blobs" + pickled(theirs).substr(0, pickled(theirs).size() - 1) + "s.");
  DetectorOptions options;
  options.stem_width = 8;
  options.fpn_channels = options.head_width = 16;
  for (const char* file : {"R-50.pkl", "blobs.pkl"}) {
    CAPTURE(file);
    FasterRcnn model(detector_spec(options, 2), 1);
    load_trunk(model, folder.path(file));
    const auto ours = named_tensors(model);
    const auto same = [&](const std::string& name, const Tensor& expected) {
      CAPTURE(name);
      CHECK(ours.at("backbone.body." + name).to_vector<float>() == expected.to_vector<float>());
    };
    same("conv1.weight", oihw_to_ohwi(theirs.at("conv1_w")));
    same("bn1.weight", theirs.at("res_conv1_bn_s"));
    same("layer3.5.conv2.weight", oihw_to_ohwi(theirs.at("res4_5_branch2b_w")));
    same("layer4.0.downsample.1.bias", theirs.at("res5_0_branch1_bn_b"));
  }
}

TEST_CASE("trunk weights: those of a detector's trunk serve another") {
  TempFolder folder;
  DetectorOptions options{.depth = 18, .stem_width = 8, .norm = "group"};
  options.fpn_channels = options.head_width = 16;
  FasterRcnn model(detector_spec(options, 2), 1), other(detector_spec(options, 5), 2);
  save_detector(folder.path("d.safetensors"), model, {options, {"a", "b"}});
  load_trunk(other, folder.path("d.safetensors"));
  const std::string name = "backbone.body.layer2.1.conv1.weight";
  CHECK(named_tensors(other).at(name).to_vector<float>() ==
        named_tensors(model).at(name).to_vector<float>());
}

TEST_CASE("trunk weights: numbers that are not finite are refused") {
  TempFolder folder;
  const std::string path = folder.path("w.safetensors");
  for (const float value : {std::nanf(""), -HUGE_VALF}) {
    TensorMap tensors = stem(0.111, 8681, 3000);
    tensors.at("conv1.weight").mutable_data<float>()[7] = value;
    write_safetensors(path, tensors);
    CHECK_THROWS_WITH_AS(
        read_trunk_weights(path),
        doctest::Contains("w.safetensors: tensor 'conv1.weight' holds numbers that are not finite"),
        Error);
  }
}

TEST_CASE("trunk weights: those for pictures of unit variance are refused") {
  TempFolder folder;
  const std::string path = folder.path("w.safetensors");
  const auto refused = [&](const TensorMap& tensors) {
    write_safetensors(path, tensors);
    try {
      read_trunk_weights(path);
      return false;
    } catch (const Error& error) {
      CHECK(
          std::string(error.what()).find("w.safetensors: was trained on pictures of about unit") !=
          std::string::npos);
      return true;
    }
  };
  CHECK(refused(stem(0.026, 0.5, 0.2)));     // of torchvision's magnitude
  CHECK(refused(stem(0.026, 10, 1)));        // all its filters smooth
  CHECK(!refused(stem(0.111, 8681, 3000)));  // MSRA's
  CHECK(!refused(stem(0.026, 1, 0)));        // no statistics of its own
  write_safetensors(path, {{"conv1.weight", drawn({64, 3, 7, 7}, 0, 0.026)}});
  CHECK(read_trunk_weights(path).size() == 1);
}

TEST_CASE("trunk weights: MSRA's ResNet-50 is accepted") {
  const std::string path = test::shared_path("weights/resnet50_msra_imagenet.pth");
  BBAM_SKIP_WITHOUT(path, "weights/resnet50_msra_imagenet.pth");
  CHECK(read_trunk_weights(path).contains("layer4.2.conv3.weight"));
}
