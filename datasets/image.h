// Pictures in memory, and as JPEG and PNG files.
//
// Readers go by a file's first bytes, never by its name. A file that is empty, foreign, cut off or
// damaged, or that claims an absurd size, throws one Error naming it; so does JPEG data whose
// decoder had to guess pixels. EXIF orientation is ignored, as VOC's and COCO's own tools do: boxes
// are given in the pixels as stored. Files are written whole or not at all.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bbam {

// Larger pictures are refused before memory is asked for.
inline constexpr int kMaxImageSide = 65500;
inline constexpr int64_t kMaxImagePixels = int64_t(1) << 27;

struct ImageSize {
  int width = 0, height = 0;
  bool operator==(const ImageSize&) const = default;
};

// A box in pixels, half-open: a box around the whole picture is 0, 0, width, height.
struct PixelBox {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  float area() const { return (x1 - x0) * (y1 - y0); }
  bool operator==(const PixelBox&) const = default;
};

// 8 bits a channel, row by row, channels interleaved: (height, width, channels).
// Three channels are red, green, blue; one channel is grey, or the index of a label map.
struct Image {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int width, int height, int channels);  // all zero

  ImageSize size() const { return {width, height}; }
  uint8_t* at(int x, int y) { return pixels.data() + offset(x, y); }
  const uint8_t* at(int x, int y) const { return pixels.data() + offset(x, y); }

 private:
  size_t offset(int x, int y) const { return (size_t(y) * width + x) * channels; }
};

// Always three channels: grey is repeated, CMYK and YCCK are converted, transparency is dropped,
// 16 bits are scaled to 8. `name` stands for the file in messages.
Image read_image(const std::string& path);
Image decode_image(std::string_view bytes, const std::string& name);
// From the header alone.
ImageSize read_image_size(const std::string& path);

// The indices of a palette PNG, or the values of a grey one of at most 8 bits; one channel.
Image read_label_png(const std::string& path);

// One or three channels. `quality` is libjpeg's 1..100; from 90 on colour is not subsampled.
std::string encode_jpeg(const Image& image, int quality = 90);
std::string encode_png(const Image& image);
// One channel, written as the indices of a palette PNG in VOC's colours.
std::string encode_label_png(const Image& labels);

void write_jpeg(const std::string& path, const Image& image, int quality = 90);
void write_png(const std::string& path, const Image& image);
void write_label_png(const std::string& path, const Image& labels);

// VOC's colour of a label or object index: the index's bits, three at a time, from the top bit of
// red, green and blue downwards. 0 is black, 255 is (224, 224, 192).
std::array<uint8_t, 3> voc_color(int index);

}  // namespace bbam
