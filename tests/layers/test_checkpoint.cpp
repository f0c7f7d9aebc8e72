#include "layers/checkpoint.h"

#include "tests/golden.h"
#include "tests/layers/weights_files.h"
#include "tests/shared.h"

using namespace bbam;

TEST_CASE("checkpoint: each format is known by its content, whatever the name") {
  const TensorMap expected = below(test::golden("weights").tensors, "state_dict.module.");
  REQUIRE(expected.size() == 15);
  std::string format;
  test::check_equal(read_weights(test::golden_path("weights_zip.pth"), &format), expected);
  CHECK(format == "PyTorch zip");
  test::check_equal(read_weights(test::golden_path("weights_legacy.pth"), &format), expected);
  CHECK(format == "PyTorch legacy");
  const TensorMap arrays = test::golden("weights_numpy").tensors;
  test::check_equal(read_weights(test::golden_path("weights_numpy.safetensors"), &format), arrays);
  CHECK(format == "safetensors");
  for (const char* file :
       {"weights_python2.pkl", "weights_protocol0.pkl", "weights_protocol4.pkl"}) {
    test::check_equal(read_weights(test::golden_path(file), &format), arrays);
    CHECK(format == "NumPy pickle");
  }
}

TEST_CASE("checkpoint: the whole file keeps its names and lists what it left out") {
  const WeightsFile file = read_weights_file(test::golden_path("weights_zip.pth"));
  CHECK(file.tensors.size() == 16);
  CHECK(file.tensors.count("optimizer.state.0.momentum") == 1);
  CHECK(file.groups == std::vector<std::string>{"state_dict", "optimizer"});
  CHECK(file.ignored.front() == "epoch: int");
  CHECK(read_weights_file(test::golden_path("weights.safetensors")).metadata.at("script") ==
        "make_weights.py");
}

TEST_CASE("checkpoint: a dotted name is not a group, nor a prefix that not all names have") {
  const test::TempFolder folder;
  const Tensor x = Tensor::zeros({1});
  write_safetensors(folder.path("a"), {{"model.a", x}, {"head.b", x}, {"module.c", x}});
  CHECK(read_weights(folder.path("a")).size() == 3);
  CHECK(read_weights(folder.path("a")).count("module.c") == 1);
  write_safetensors(folder.path("b"), {{"module.a", x}, {"module.b", x}});
  CHECK(read_weights(folder.path("b")).count("a") == 1);
}

TEST_CASE("checkpoint: other files are refused with what was expected") {
  const auto message = [](const std::string& bytes) {
    return test::message_for(bytes, [](const std::string& path) { read_weights(path); });
  };
  CHECK(message("") ==
        "not a weights file; expected safetensors, PyTorch's .pth or Detectron's .pkl");
  CHECK(message("<!DOCTYPE html>").starts_with("not a weights file"));
  CHECK(message("version https://git-lfs.github.com/spec/v1\n").starts_with("not a weights file"));
  CHECK(message("}.") == "no tensors in this NumPy pickle file");
  CHECK_THROWS_WITH_AS(read_weights("/no/such/file"), doctest::Contains("cannot be opened"), Error);
}

TEST_CASE("checkpoint: convolution weights change layout and back") {
  std::vector<float> values(2 * 3 * 4 * 5);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  const Tensor oihw = Tensor::from(values, {2, 3, 4, 5});
  const Tensor ohwi = oihw_to_ohwi(oihw);
  REQUIRE(ohwi.shape() == Shape{2, 4, 5, 3});
  // Element (o, y, x, i) of ours is (o, i, y, x) of PyTorch's.
  CHECK(ohwi.data<float>()[((1 * 4 + 2) * 5 + 3) * 3 + 2] == values[((1 * 3 + 2) * 4 + 2) * 5 + 3]);
  CHECK(ohwi.data<float>()[1] == 20);
  const Tensor back = ohwi_to_oihw(ohwi);
  CHECK(back.shape() == oihw.shape());
  CHECK(back.to_vector<float>() == values);
  CHECK_THROWS_WITH_AS(oihw_to_ohwi(Tensor::zeros({2, 3})), doctest::Contains("oihw_to_ohwi"),
                       Error);
  CHECK_THROWS_AS(ohwi_to_oihw(Tensor::zeros({1, 1, 1, 1}, DType::kF64)), Error);
}

TEST_CASE("checkpoint: the CIFAR networks come without their wrappings") {
  const std::string path = test::shared_path("weights/resnet20-12fca82f.th");
  BBAM_SKIP_WITHOUT(path, "weights/resnet20-12fca82f.th");
  const TensorMap tensors = read_weights(path);
  CHECK(tensors.size() == 97);
  CHECK(tensors.count("linear.bias") == 1);
}
