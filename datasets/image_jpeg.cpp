// JPEG through libjpeg. Its errors leave by longjmp, so the functions that call it hold nothing
// with a destructor: buffers belong to their callers.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <jpeglib.h>  // needs <cstdio> before it

#include <jerror.h>  // needs jpeglib.h before it

#include "datasets/image_codecs.h"
#include "tensor/check.h"

namespace bbam::jpeg {
namespace {

struct Errors {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer is also ours
  jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  errors->base.format_message(info, errors->message);
  longjmp(errors->jump, 1);
}

// Warnings after which libjpeg makes pixels up are errors here; the others are harmless.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: leave(info);
    default: return;
  }
}

void install(Errors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.emit_message = on_message;
}

// libjpeg knows no CMYK to RGB. Adobe's files, which are nearly all there are, store the inks
// inverted: 255 is no ink.
void rgb_from_cmyk(const uint8_t* cmyk, uint8_t* rgb, int width, bool inverted) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3)
    for (int channel = 0; channel < 3; ++channel) {
      const int light = inverted ? cmyk[channel] : 255 - cmyk[channel];
      const int white = inverted ? cmyk[3] : 255 - cmyk[3];
      rgb[channel] = uint8_t((light * white + 127) / 255);
    }
}

// libjpeg's decompressor with the file's header read.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : Reader(name) {
    check(try_open(bytes), name_, ": is a damaged JPEG picture: ", errors_.message);
    check_image_size(info_.image_width, info_.image_height, name_);
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ImageSize size() const { return {int(info_.image_width), int(info_.image_height)}; }

  Image decode() {
    Image image(int(info_.image_width), int(info_.image_height), 3);
    std::vector<uint8_t> row(size_t(image.width) * 4);
    check(try_decode(image.pixels.data(), row.data()), name_,
          ": is a damaged or truncated JPEG picture: ", errors_.message);
    return image;
  }

 private:
  // Delegated to, so that the destructor runs when the public constructor throws.
  explicit Reader(const std::string& name) : name_(name) {
    install(errors_);
    info_.err = &errors_.base;
  }

  bool try_open(std::string_view bytes) {
    if (setjmp(errors_.jump)) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  bool try_decode(uint8_t* rgb, uint8_t* row) {
    if (setjmp(errors_.jump)) return false;
    const bool cmyk = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      uint8_t* const line = rgb + size_t(info_.output_scanline) * info_.output_width * 3;
      JSAMPROW to = cmyk ? row : line;
      jpeg_read_scanlines(&info_, &to, 1);
      if (cmyk) rgb_from_cmyk(row, line, int(info_.output_width), info_.saw_Adobe_marker);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  const std::string name_;
  Errors errors_{};
  jpeg_decompress_struct info_{};
};

class Writer {
 public:
  Writer() {
    install(errors_);
    info_.err = &errors_.base;
  }
  ~Writer() {
    jpeg_destroy_compress(&info_);
    std::free(bytes_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string encode(const Image& image, int quality) {
    check(try_encode(image, quality), "encode_jpeg: ", errors_.message);
    return {reinterpret_cast<const char*>(bytes_), count_};
  }

 private:
  bool try_encode(const Image& image, int quality) {
    if (setjmp(errors_.jump)) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &bytes_, &count_);
    info_.image_width = JDIMENSION(image.width);
    info_.image_height = JDIMENSION(image.height);
    info_.input_components = image.channels;
    info_.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    if (quality >= 90)
      for (int c = 0; c < info_.num_components; ++c)
        info_.comp_info[c].h_samp_factor = info_.comp_info[c].v_samp_factor = 1;
    jpeg_start_compress(&info_, TRUE);
    while (info_.next_scanline < info_.image_height) {
      auto* row = const_cast<JSAMPROW>(image.at(0, int(info_.next_scanline)));
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  Errors errors_{};
  jpeg_compress_struct info_{};
  unsigned char* bytes_ = nullptr;
  unsigned long count_ = 0;
};

}  // namespace

ImageSize read_size(std::string_view bytes, const std::string& name) {
  return Reader(bytes, name).size();
}

Image decode(std::string_view bytes, const std::string& name) {
  return Reader(bytes, name).decode();
}

std::string encode(const Image& image, int quality) { return Writer().encode(image, quality); }

}  // namespace bbam::jpeg
