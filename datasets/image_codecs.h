// The two file formats behind datasets/image.h; only image.cpp and the codecs include this.
#pragma once
#include <string>
#include <string_view>

#include "datasets/image.h"

namespace bbam {

// Throws Error unless both extents are positive and within the limits of image.h.
void check_image_size(int64_t width, int64_t height, const std::string& name);

namespace jpeg {
ImageSize read_size(std::string_view bytes, const std::string& name);
Image decode(std::string_view bytes, const std::string& name);  // RGB
std::string encode(const Image& image, int quality);
}  // namespace jpeg

namespace png {
ImageSize read_size(std::string_view bytes, const std::string& name);
Image decode(std::string_view bytes, const std::string& name);         // RGB
Image decode_labels(std::string_view bytes, const std::string& name);  // one channel
enum class Colors { kAsChannels, kVocPalette };
std::string encode(const Image& image, Colors colors);
}  // namespace png

}  // namespace bbam
