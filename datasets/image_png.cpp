// PNG through libpng. Its errors leave by longjmp, so the functions that call it hold nothing with
// a destructor: buffers belong to their callers.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "datasets/image_codecs.h"
#include "tensor/check.h"

namespace bbam::png {
namespace {

struct Message {
  char text[256] = "";
};

void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::strncpy(message->text, text, sizeof message->text - 1);
  longjmp(png_jmpbuf(png), 1);
}

void on_warning(png_structp, png_const_charp) {}

// libpng's reader with the file's header read.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : Reader(name) {
    rest_ = bytes;
    check(info_ != nullptr && try_open(), name_, kDamaged, message_.text);
    check_image_size(size().width, size().height, name_);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ImageSize size() const {
    return {int(png_get_image_width(png_, info_)), int(png_get_image_height(png_, info_))};
  }

  Image decode_rgb() { return decode(3); }

  Image decode_indices() {
    const int type = png_get_color_type(png_, info_), bits = png_get_bit_depth(png_, info_);
    check((type == PNG_COLOR_TYPE_PALETTE || type == PNG_COLOR_TYPE_GRAY) && bits <= 8, name_,
          ": is a PNG of ", bits, " bit ", type & PNG_COLOR_MASK_COLOR ? "colours" : "greys",
          "; a label map must be a palette PNG, or a grey one of at most 8 bits");
    return decode(1);
  }

 private:
  static constexpr const char* kDamaged = ": is a damaged or truncated PNG picture: ";

  // Delegated to, so that the destructor runs when the public constructor throws.
  explicit Reader(const std::string& name) : name_(name) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }

  static void read_bytes(png_structp png, png_bytep to, size_t count) {
    auto& rest = *static_cast<std::string_view*>(png_get_io_ptr(png));
    if (rest.size() < count) png_error(png, "it ends too early");
    std::memcpy(to, rest.data(), count);
    rest.remove_prefix(count);
  }

  bool try_open() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_user_limits(png_, kMaxImageSide, kMaxImageSide);
    png_set_read_fn(png_, &rest_, read_bytes);
    png_read_info(png_, info_);
    return true;
  }

  void set_conversion_to_rgb() {
    png_set_expand(png_);  // palettes and 1 to 4 bit greys
    png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
  }

  bool try_decode(uint8_t* pixels, int channels) {
    if (setjmp(png_jmpbuf(png_))) return false;
    if (channels == 3)
      set_conversion_to_rgb();
    else
      png_set_packing(png_);  // 1 to 4 bit indices, one a byte
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    const size_t row_bytes = size_t(size().width) * channels;
    if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "its rows are not understood");
    for (int pass = 0; pass < passes; ++pass)
      for (int y = 0; y < size().height; ++y)
        png_read_row(png_, pixels + size_t(y) * row_bytes, nullptr);
    png_read_end(png_, nullptr);
    return true;
  }

  Image decode(int channels) {
    Image image(size().width, size().height, channels);
    check(try_decode(image.pixels.data(), channels), name_, kDamaged, message_.text);
    return image;
  }

  const std::string name_;
  std::string_view rest_;  // what libpng has not read yet
  Message message_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

class Writer {
 public:
  Writer() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string encode(const Image& image, Colors colors) {
    check(info_ != nullptr && try_encode(image, colors), "encode_png: ", message_.text);
    return std::move(bytes_);
  }

 private:
  static void append(png_structp png, png_bytep from, size_t count) {
    auto& bytes = *static_cast<std::string*>(png_get_io_ptr(png));
    bytes.append(reinterpret_cast<const char*>(from), count);
  }
  static void flush(png_structp) {}

  bool try_encode(const Image& image, Colors colors) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_write_fn(png_, &bytes_, append, flush);
    const int type = colors == Colors::kVocPalette ? PNG_COLOR_TYPE_PALETTE
                     : image.channels == 3         ? PNG_COLOR_TYPE_RGB
                                                   : PNG_COLOR_TYPE_GRAY;
    png_set_IHDR(png_, info_, png_uint_32(image.width), png_uint_32(image.height), 8, type,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (colors == Colors::kVocPalette) set_voc_palette();
    png_write_info(png_, info_);
    for (int y = 0; y < image.height; ++y) png_write_row(png_, image.at(0, y));
    png_write_end(png_, nullptr);
    return true;
  }

  void set_voc_palette() {
    png_color palette[256];
    for (int index = 0; index < 256; ++index) {
      const auto [red, green, blue] = voc_color(index);
      palette[index] = {red, green, blue};
    }
    png_set_PLTE(png_, info_, palette, 256);
  }

  Message message_;
  std::string bytes_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

ImageSize read_size(std::string_view bytes, const std::string& name) {
  return Reader(bytes, name).size();
}

Image decode(std::string_view bytes, const std::string& name) {
  return Reader(bytes, name).decode_rgb();
}

Image decode_labels(std::string_view bytes, const std::string& name) {
  return Reader(bytes, name).decode_indices();
}

std::string encode(const Image& image, Colors colors) { return Writer().encode(image, colors); }

}  // namespace bbam::png
