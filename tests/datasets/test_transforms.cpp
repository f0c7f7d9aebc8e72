#include <doctest/doctest.h>

#include "datasets/transforms.h"
#include "tensor/check.h"
#include "tests/golden.h"

using namespace bbam;

namespace {

Image image_of(const Tensor& tensor) {
  const int channels = tensor.rank() == 3 ? int(tensor.dim(2)) : 1;
  Image image(int(tensor.dim(1)), int(tensor.dim(0)), channels);
  image.pixels = tensor.to_vector<uint8_t>();
  return image;
}

Image red_of(const Image& rgb) {
  Image red(rgb.width, rgb.height, 1);
  for (size_t i = 0; i < red.pixels.size(); ++i) red.pixels[i] = rgb.pixels[3 * i];
  return red;
}

}  // namespace

TEST_CASE("transforms: bilinear and nearest resize give PIL's bytes") {
  const auto golden = test::golden("pictures");
  int cases = 0;
  for (const auto& [name, expected] : golden.tensors) {
    const size_t size_at = name.rfind('.');
    const bool bilinear = name.starts_with("resize."), nearest = name.starts_with("nearest.");
    if ((!bilinear && !nearest) || name.find('.') == size_at) continue;
    CAPTURE(name);
    const size_t source_at = name.find('.');
    const Image source =
        image_of(golden.tensors.at("resize" + name.substr(source_at, size_at - source_at)));
    const ImageSize to{int(expected.dim(1)), int(expected.dim(0))};
    const Image resized =
        bilinear ? resize_bilinear(source, to) : resize_nearest(red_of(source), to);
    CHECK(resized.size() == to);
    CHECK(resized.pixels == expected.to_vector<uint8_t>());
    ++cases;
  }
  CHECK(cases == 18);
  CHECK_THROWS_AS(resize_bilinear(Image(), {3, 3}), Error);
  CHECK_THROWS_AS(resize_nearest(Image(3, 3, 1), {0, 3}), Error);
}

TEST_CASE("transforms: METHOD B1 short and long side") {
  // Worked by hand from the rule: 500 x 375 to 800 gives int(800 * 500 / 375) = 1066.
  CHECK(resized_size({500, 375}, 800, 1333) == ImageSize{1066, 800});
  CHECK(resized_size({375, 500}, 800, 1333) == ImageSize{800, 1066});
  // 500 x 200: 2000 > 1333, so the short side is round(533.2) and the long int(533 * 2.5).
  CHECK(resized_size({500, 200}, 800, 1333) == ImageSize{1332, 533});
  CHECK(resized_size({200, 500}, 800, 1333) == ImageSize{533, 1332});
  CHECK(resized_size({640, 480}, 480, 1333) == ImageSize{640, 480});
  CHECK(resized_size({300, 300}, 512, 800) == ImageSize{512, 512});
  // round(2.5) is 2, as Python rounds ties to even.
  CHECK(resized_size({100, 50}, 9, 5) == ImageSize{4, 2});
  CHECK(resized_size({10000, 1}, 800, 1333).height == 1);
  CHECK_THROWS_AS(resized_size({0, 5}, 8, 8), Error);
  CHECK_THROWS_AS(resized_size({5, 5}, 0, 8), Error);
}

TEST_CASE("transforms: flips and scales of boxes follow the pixels") {
  Image image(10, 4, 1);
  const PixelBox box{2, 1, 5, 3};
  for (int y = 1; y < 3; ++y)
    for (int x = 2; x < 5; ++x) image.at(x, y)[0] = 255;
  const Image flipped = flip_horizontal(image);
  const PixelBox mirrored = flip_horizontal(box, 10);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 10; ++x) {
      const bool inside =
          x >= mirrored.x0 && x < mirrored.x1 && y >= mirrored.y0 && y < mirrored.y1;
      CHECK((flipped.at(x, y)[0] == 255) == inside);
    }
  CHECK(flip_horizontal(mirrored, 10) == box);
  CHECK(flip_horizontal(flipped).pixels == image.pixels);
  CHECK(resize_box(box, {10, 4}, {20, 6}) == PixelBox{4, 1.5f, 10, 4.5f});
}

TEST_CASE("transforms: METHOD B1 and B5 pixel means") {
  CHECK(kDetectorMean.blue == 102.9801f);
  CHECK(kDetectorMean.green == 115.9465f);
  CHECK(kDetectorMean.red == 122.7717f);
  CHECK(kDeepLabMean.blue == 104.008f);
  CHECK(kDeepLabMean.green == 116.669f);
  CHECK(kDeepLabMean.red == 122.675f);
}

TEST_CASE("transforms: pictures become mean-subtracted BGR and are padded right and below") {
  Image image(2, 1, 3);
  image.pixels = {10, 20, 30, 40, 50, 60};
  const Tensor tensor = to_bgr_tensor(image, {1, 2, 3});
  CHECK(tensor.shape() == Shape{1, 2, 3});
  CHECK(tensor.to_vector<float>() == std::vector<float>{29, 18, 7, 59, 48, 37});
  CHECK_THROWS_AS(to_bgr_tensor(Image(2, 2, 1)), Error);

  const Tensor tall = Tensor::full({3, 1, 3}, 5);
  const Tensor batch = batch_images({tensor, tall});
  REQUIRE(batch.shape() == Shape{2, 3, 2, 3});
  const auto values = batch.to_vector<float>();
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 2; ++x)
        for (int c = 0; c < 3; ++c) {
          const float expected = n == 1   ? (x == 0 ? 5.f : 0.f)
                                 : y == 0 ? tensor.to_vector<float>()[size_t(x * 3 + c)]
                                          : 0.f;
          CHECK(values[size_t(((n * 3 + y) * 2 + x) * 3 + c)] == expected);
        }
  CHECK(batch_images({tensor, tall}, 32).shape() == Shape{2, 32, 32, 3});
  CHECK(batch_images({Tensor::zeros({64, 33, 3})}, 32).shape() == Shape{1, 64, 64, 3});
  CHECK_THROWS_AS(batch_images({}), Error);
  CHECK_THROWS_AS(batch_images({Tensor::zeros({4, 4, 1})}), Error);
}
