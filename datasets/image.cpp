#include "datasets/image.h"

#include "datasets/image_codecs.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

enum class Format { kJpeg, kPng };

Format format_of(std::string_view bytes, const std::string& name) {
  check(!bytes.empty(), name, ": is empty; expected a JPEG or PNG picture");
  if (bytes.starts_with("\xff\xd8\xff")) return Format::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return Format::kPng;
  fail(name, ": is neither a JPEG nor a PNG picture");
}

void check_drawable(const Image& image, const char* what) {
  check(image.channels == 1 || image.channels == 3, what, ": a picture of ", image.channels,
        " channels; expected 1 or 3");
  check_image_size(image.width, image.height, what);
  check(image.pixels.size() == size_t(image.width) * image.height * image.channels, what, ": ",
        image.pixels.size(), " bytes do not make ", image.width, " x ", image.height, " x ",
        image.channels);
}

}  // namespace

Image::Image(int width, int height, int channels)
    : width(width), height(height), channels(channels),
      pixels(size_t(width) * size_t(height) * size_t(channels)) {}

void check_image_size(int64_t width, int64_t height, const std::string& name) {
  check(width > 0 && height > 0, name, ": a picture of ", width, " x ", height, " pixels");
  check(width <= kMaxImageSide && height <= kMaxImageSide && width * height <= kMaxImagePixels,
        name, ": ", width, " x ", height, " pixels are too many; at most ", kMaxImageSide,
        " a side and ", kMaxImagePixels, " in all");
}

Image decode_image(std::string_view bytes, const std::string& name) {
  return format_of(bytes, name) == Format::kJpeg ? jpeg::decode(bytes, name)
                                                 : png::decode(bytes, name);
}

Image read_image(const std::string& path) { return decode_image(read_file(path), path); }

ImageSize read_image_size(const std::string& path) {
  const std::string bytes = read_file(path);
  return format_of(bytes, path) == Format::kJpeg ? jpeg::read_size(bytes, path)
                                                 : png::read_size(bytes, path);
}

Image read_label_png(const std::string& path) {
  const std::string bytes = read_file(path);
  check(format_of(bytes, path) == Format::kPng, path,
        ": is a JPEG picture; a label map must be a PNG, since JPEG changes the labels");
  return png::decode_labels(bytes, path);
}

std::string encode_jpeg(const Image& image, int quality) {
  check_drawable(image, "encode_jpeg");
  check(quality >= 1 && quality <= 100, "encode_jpeg: quality ", quality, "; expected 1 to 100");
  return jpeg::encode(image, quality);
}

std::string encode_png(const Image& image) {
  check_drawable(image, "encode_png");
  return png::encode(image, png::Colors::kAsChannels);
}

std::string encode_label_png(const Image& labels) {
  check_drawable(labels, "encode_label_png");
  check(labels.channels == 1, "encode_label_png: a label map has 1 channel, not ", labels.channels);
  return png::encode(labels, png::Colors::kVocPalette);
}

void write_jpeg(const std::string& path, const Image& image, int quality) {
  write_file(path, encode_jpeg(image, quality));
}

void write_png(const std::string& path, const Image& image) { write_file(path, encode_png(image)); }

void write_label_png(const std::string& path, const Image& labels) {
  write_file(path, encode_label_png(labels));
}

std::array<uint8_t, 3> voc_color(int index) {
  std::array<uint8_t, 3> rgb{};
  for (int bit = 7; bit >= 0; --bit, index >>= 3)
    for (int channel = 0; channel < 3; ++channel)
      rgb[size_t(channel)] |= uint8_t(((index >> channel) & 1) << bit);
  return rgb;
}

}  // namespace bbam
