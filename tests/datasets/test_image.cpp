#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "datasets/image.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/golden.h"
#include "tests/shared.h"
#include "tests/temp_folder.h"

using namespace bbam;

namespace {

std::string text_of(const Tensor& bytes) {
  const auto values = bytes.to_vector<uint8_t>();
  return {values.begin(), values.end()};
}

Image ramp(int width, int height, int channels) {
  Image image(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = uint8_t(i * 37 % 251);
  return image;
}

}  // namespace

TEST_CASE("image: every kind of JPEG and PNG decodes to PIL's pixels") {
  const auto golden = test::golden("pictures");
  int cases = 0;
  for (const auto& [name, tensor] : golden.tensors) {
    if (!name.ends_with(".rgb")) continue;
    const std::string stem = name.substr(0, name.size() - 4);
    CAPTURE(stem);
    const Image image = decode_image(text_of(golden.tensors.at(stem + ".file")), stem);
    REQUIRE(Shape{image.height, image.width, image.channels} == tensor.shape());
    const auto expected = tensor.to_vector<uint8_t>();
    int worst = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      worst = std::max(worst, std::abs(int(expected[i]) - int(image.pixels[i])));
    // JPEG decoders may round differently; PIL's CMYK to RGB rounds differently from ours.
    CHECK(worst <= (stem.starts_with("jpeg") ? 1 : 0));
    ++cases;
  }
  CHECK(cases == 12);
}

TEST_CASE("image: label maps keep their indices") {
  const auto golden = test::golden("pictures");
  const test::TempFolder folder;
  for (const std::string stem : {"labels_2bit", "labels_8bit", "labels_grey"}) {
    CAPTURE(stem);
    const std::string path = folder.path(stem);
    write_file(path, text_of(golden.tensors.at(stem + ".file")));
    const Image labels = read_label_png(path);
    CHECK(labels.channels == 1);
    CHECK(labels.pixels == golden.tensors.at(stem + ".labels").to_vector<uint8_t>());
  }
  Image all(16, 16, 1);
  for (int i = 0; i < 256; ++i) all.pixels[size_t(i)] = uint8_t(i);
  write_label_png(folder.path("all.png"), all);
  CHECK(read_label_png(folder.path("all.png")).pixels == all.pixels);
  const Image colors = read_image(folder.path("all.png"));
  for (int i : {0, 1, 15, 20, 255}) {
    const auto color = voc_color(i);
    CHECK(std::equal(color.begin(), color.end(), colors.at(i % 16, i / 16)));
  }
}

TEST_CASE("image: VOC's colours") {
  using Color = std::array<uint8_t, 3>;
  CHECK(voc_color(0) == Color{0, 0, 0});
  CHECK(voc_color(1) == Color{128, 0, 0});
  CHECK(voc_color(3) == Color{128, 128, 0});
  CHECK(voc_color(15) == Color{192, 128, 128});
  CHECK(voc_color(20) == Color{0, 64, 128});
  CHECK(voc_color(255) == Color{224, 224, 192});
}

TEST_CASE("image: PNG is lossless, JPEG nearly so, both read by content") {
  const test::TempFolder folder;
  for (int channels : {1, 3}) {
    const Image image = ramp(31, 17, channels);
    write_png(folder.path("a.jpg"), image);
    const Image back = read_image(folder.path("a.jpg"));
    for (int y = 0; y < 17; ++y)
      for (int x = 0; x < 31; ++x)
        for (int c = 0; c < 3; ++c)
          REQUIRE(back.at(x, y)[c] == image.at(x, y)[channels == 3 ? c : 0]);
    CHECK(read_image_size(folder.path("a.jpg")) == ImageSize{31, 17});
  }
  Image smooth(40, 30, 3);
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x)
      for (int c = 0; c < 3; ++c) smooth.at(x, y)[c] = uint8_t(3 * x + 2 * y + 20 * c);
  write_jpeg(folder.path("b.png"), smooth, 95);
  CHECK(read_image_size(folder.path("b.png")) == ImageSize{40, 30});
  const Image back = read_image(folder.path("b.png"));
  for (size_t i = 0; i < smooth.pixels.size(); ++i)
    REQUIRE(std::abs(int(back.pixels[i]) - int(smooth.pixels[i])) <= 4);
}

TEST_CASE("image: files that are cut off anywhere are refused by name") {
  const test::TempFolder folder;
  const Image image = ramp(64, 48, 3);
  for (const std::string& whole : {encode_jpeg(image), encode_png(image)}) {
    const std::string path = folder.path("cut");
    const size_t step = std::max<size_t>(1, whole.size() / 200);
    for (size_t length = 0; length < whole.size(); length += step) {
      CAPTURE(length);
      write_file(path, whole.substr(0, length));
      CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains(path.c_str()), Error);
    }
    write_file(path, whole);
    CHECK_NOTHROW(read_image(path));
  }
  CHECK_THROWS_WITH_AS(decode_image(encode_jpeg(image).substr(0, 700), "cat.jpg"),
                       doctest::Contains("cat.jpg: is a damaged or truncated JPEG picture"), Error);
  CHECK_THROWS_WITH_AS(decode_image(encode_png(image).substr(0, 300), "cat.png"),
                       doctest::Contains("cat.png: is a damaged or truncated PNG picture"), Error);
}

TEST_CASE("image: foreign, damaged and absurd files") {
  const test::TempFolder folder;
  CHECK_THROWS_WITH_AS(decode_image("", "e.jpg"), "e.jpg: is empty; expected a JPEG or PNG picture",
                       Error);
  CHECK_THROWS_WITH_AS(decode_image("GIF89a....", "e.jpg"),
                       "e.jpg: is neither a JPEG nor a PNG picture", Error);
  CHECK_THROWS_WITH_AS(read_image(folder.path("none.jpg")), doctest::Contains("cannot be opened"),
                       Error);
  CHECK_THROWS_WITH_AS(read_image(folder.path()), doctest::Contains("is a folder"), Error);

  std::string png = encode_png(ramp(64, 48, 3));
  png[png.size() / 2] ^= 0x55;  // its checksum no longer fits
  CHECK_THROWS_AS(decode_image(png, "x.png"), Error);

  // A JPEG header that claims 65000 x 65000 pixels: the size is at the start-of-frame marker.
  std::string jpeg = encode_jpeg(ramp(64, 48, 3));
  const size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  std::memcpy(&jpeg[frame + 5], "\xfd\xe8\xfd\xe8", 4);
  CHECK_THROWS_WITH_AS(decode_image(jpeg, "big.jpg"),
                       doctest::Contains("big.jpg: 65000 x 65000 pixels are too many"), Error);

  write_file(folder.path("l.png"), encode_png(ramp(8, 8, 3)));
  CHECK_THROWS_WITH_AS(read_label_png(folder.path("l.png")),
                       doctest::Contains("a label map must be a palette PNG"), Error);
  write_file(folder.path("l.jpg"), encode_jpeg(ramp(8, 8, 1)));
  CHECK_THROWS_WITH_AS(read_label_png(folder.path("l.jpg")),
                       doctest::Contains("a label map must be a PNG"), Error);
  CHECK_THROWS_AS(encode_png(Image(0, 5, 3)), Error);
  CHECK_THROWS_AS(encode_png(Image(5, 5, 2)), Error);
  CHECK_THROWS_AS(encode_label_png(Image(5, 5, 3)), Error);
  CHECK_THROWS_AS(encode_jpeg(Image(5, 5, 3), 0), Error);
}

TEST_CASE("image: real photographs all decode") {
  const std::string root = test::shared_path("data/voc2012_subset");
  BBAM_SKIP_WITHOUT(root, "the VOC subset");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/JPEGImages")) {
    const std::string path = entry.path().string();
    if (count++ % 16 == 0) {
      const Image image = read_image(path);
      CHECK(read_image_size(path) == image.size());
      const std::string mask = root + "/SegmentationObject/" + entry.path().stem().string();
      CHECK(read_label_png(mask + ".png").size() == image.size());
    }
  }
  CHECK(count == 752);
}
