#include <doctest/doctest.h>

#include <filesystem>

#include "cli/detector_file.h"
#include "cli/weights.h"
#include "tensor/files.h"
#include "tests/cli/run_command.h"
#include "tests/golden.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

Tensor counted(Shape shape) {
  std::vector<float> values(size_t(shape.size()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  return Tensor::from(values, shape);
}

}  // namespace

TEST_CASE("convert: --list prints an aligned table") {
  TempFolder folder;
  const std::string path = folder.path("w.safetensors");
  write_safetensors(path,
                    {{"fc.weight", counted({2, 3})}, {"step", Tensor::zeros({}, DType::kI64)}});
  const CommandResult result = run_command({"convert", path, "--list"});
  CHECK(result.status == 0);
  CHECK(contains(result.out,
                 "tensor     type   shape\nfc.weight  f32    2 x 3\n"
                 "step       i64    one number\n2 tensors, 7 numbers, safetensors\n"));
}

TEST_CASE("convert: PyTorch's layout of convolutions and back") {
  TempFolder folder;
  const std::string in = folder.path("in.safetensors"), ours = folder.path("ours.safetensors");
  const TensorMap torch{{"net.conv.weight", counted({2, 3, 2, 1})},
                        {"net.fc6.weight", counted({2, 2 * 49})},
                        {"net.fc7.weight", counted({2, 98})},
                        {"other", counted({1})}};
  write_safetensors(in, torch);
  REQUIRE(run_command({"convert", in, ours, "--layout", "to-ohwi", "--prefix", "net."}).status ==
          0);
  const TensorMap read = read_ohwi_weights(ours);
  REQUIRE(read.size() == 3);
  const auto conv = read.at("conv.weight").to_vector<float>();
  CHECK(read.at("conv.weight").shape() == Shape{2, 2, 1, 3});
  for (int o = 0; o < 2; ++o)
    for (int i = 0; i < 3; ++i)
      for (int y = 0; y < 2; ++y) CHECK(conv[size_t((o * 2 + y) * 3 + i)] == (o * 3 + i) * 2 + y);
  const auto fc6 = read.at("fc6.weight").to_vector<float>();
  for (int o = 0; o < 2; ++o)
    for (int c = 0; c < 2; ++c)
      for (int bin = 0; bin < 49; ++bin)
        CHECK(fc6[size_t(o * 98 + bin * 2 + c)] == o * 98 + c * 49 + bin);
  CHECK(read.at("fc7.weight").to_vector<float>() == torch.at("net.fc7.weight").to_vector<float>());

  const std::string back = folder.path("back.safetensors");
  REQUIRE(run_command({"convert", ours, back, "--layout", "to-oihw"}).status == 0);
  const TensorMap again = read_safetensors(back).tensors;
  for (const char* name : {"conv.weight", "fc6.weight", "fc7.weight"})
    CHECK(again.at(name).to_vector<float>() ==
          torch.at(std::string("net.") + name).to_vector<float>());
}

TEST_CASE("convert: a PyTorch file becomes safetensors with the same numbers") {
  TempFolder folder;
  const std::string out = folder.path("out.safetensors");
  REQUIRE(run_command({"convert", test::golden_path("weights_zip.pth"), out}).status == 0);
  const SafetensorsFile file = read_safetensors(out);
  CHECK(!file.tensors.empty());
  CHECK(file.metadata.at("source") == "PyTorch zip");
  CHECK(contains(run_command({"convert", test::golden_path("weights_legacy.pth"), "--list"}).out,
                 "PyTorch legacy"));
}

namespace {

// A detector's file, and its values by name.
std::map<std::string, std::vector<float>> values_of(Module& model) {
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, tensor] : named_tensors(model)) values[name] = tensor.to_vector<float>();
  return values;
}

struct DetectorToConvert {
  TempFolder folder;
  std::string in = folder.path("detector.safetensors"), out = folder.path("out.safetensors");
  DetectorCard card;
  std::unique_ptr<FasterRcnn> model;

  DetectorToConvert() {
    card.options = {.depth = 18, .stem_width = 8, .norm = "group"};
    card.options.fpn_channels = card.options.head_width = 16;
    card.classes = {"a", "b"};
    model = std::make_unique<FasterRcnn>(detector_spec(card.options, 2), 1);
    save_detector(in, *model, card);
  }
  std::map<std::string, std::string> convert(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"convert", in, out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = run_command(arguments);
    INFO(result.err);
    REQUIRE(result.status == 0);
    return read_safetensors(out).metadata;
  }
  // Whether a detector of other weights has this one's trunk after --init with the result.
  bool serves_as_init() const {
    FasterRcnn other(detector_spec(card.options, 2), 2);
    load_trunk(other, out);
    const auto have = values_of(other);
    for (const auto& [name, values] : values_of(*model))
      if (name.starts_with("backbone.body.") && have.at(name) != values) return false;
    return true;
  }
};

}  // namespace

TEST_CASE("convert: a detector stays one, in either layout") {
  const DetectorToConvert d;
  const auto before = read_safetensors(d.in).metadata;
  for (const std::string layout : {"as-is", "to-oihw"}) {
    INFO(layout);
    const auto after = d.convert({"--layout", layout});
    CHECK(after.at("detector") == before.at("detector"));
    CHECK(after.count(kLayoutKey) == (layout == "as-is" ? 1 : 0));
    CHECK(values_of(*load_detector(d.out, kCpu).model) == values_of(*d.model));
    CHECK(d.serves_as_init());
  }
  // A second conversion keeps what the first has noted.
  SafetensorsFile file = read_safetensors(d.in);
  file.metadata["source"] = "PyTorch zip";
  file.metadata["note"] = "mine";
  write_safetensors(d.in, file.tensors, file.metadata);
  CHECK(d.convert({}) == file.metadata);
}

TEST_CASE("convert: a part of a detector keeps its layout, and is no detector") {
  const DetectorToConvert d;
  const auto metadata = d.convert({"--prefix", "backbone.body."});
  CHECK(metadata.count("detector") == 0);
  CHECK(metadata.at(kLayoutKey) == kLayoutOhwi);
  CHECK(d.serves_as_init());
}

TEST_CASE("convert: neither onto the file itself nor to the layout that it has") {
  const DetectorToConvert d;
  const std::string before = read_file(d.in);
  std::filesystem::create_symlink(d.in, d.folder.path("link.safetensors"));
  std::filesystem::create_directory(d.folder.path("x"));
  for (const std::string name :
       {"detector.safetensors", "x/../detector.safetensors", "link.safetensors"})
    CHECK(is_error(run_command({"convert", d.in, d.folder.path(name)}),
                   name + ": is the file to convert; expected another name"));
  CHECK(read_file(d.in) == before);
  CHECK(is_error(run_command({"convert", d.in, d.out, "--layout", "to-ohwi"}),
                 "detector.safetensors: its convolutions are (out, height, width, in) already"));
}

TEST_CASE("convert: bad input") {
  TempFolder folder;
  const std::string path = folder.path("w.safetensors");
  CHECK(is_error(run_command({"convert", path, "--list"}), "w.safetensors"));
  write_file(path, "not weights");
  CHECK(is_error(run_command({"convert", path, "--list"}), "w.safetensors"));
  write_safetensors(path, {{"a", counted({2})}});
  CHECK(is_error(run_command({"convert", path}), "--list"));
  CHECK(is_error(run_command({"convert", path, folder.path("x.pth")}), ".safetensors"));
  CHECK(is_error(run_command({"convert", path, "/nowhere/x.safetensors"}), "/nowhere/x"));
  CHECK(is_error(run_command({"convert", path, path + ".safetensors", "--prefix", "b."}), "'b.'"));
}
