#include "cli/draw.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "cli/font.h"
#include "datasets/transforms.h"
#include "tensor/check.h"

namespace bbam {
namespace {

uint8_t to_byte(double value) { return uint8_t(std::clamp(std::lround(value), 0l, 255l)); }

// Linear light to sRGB's bytes.
uint8_t to_srgb(double linear) {
  linear = std::clamp(linear, 0.0, 1.0);
  const double coded =
      linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
  return to_byte(255 * coded);
}

double luma(const uint8_t* rgb) { return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; }

void mix(uint8_t* pixel, Color color, double share) {
  for (size_t c = 0; c < 3; ++c) pixel[c] = to_byte((1 - share) * pixel[c] + share * color[c]);
}

void fill(Image& rgb, int x0, int y0, int x1, int y1, Color color) {
  x0 = std::max(x0, 0), y0 = std::max(y0, 0);
  x1 = std::min(x1, rgb.width), y1 = std::min(y1, rgb.height);
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) std::copy(color.begin(), color.end(), rgb.at(x, y));
}

void draw_text(Image& rgb, int x0, int y0, const std::string& text, Color color, int scale) {
  for (size_t i = 0; i < text.size(); ++i)
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x) {
        if (!glyph_pixel(text[i], x, y)) continue;
        const int left = x0 + (int(i) * (kGlyphWidth + 1) + x) * scale, top = y0 + y * scale;
        fill(rgb, left, top, left + scale, top + scale, color);
      }
}

bool is_set(const Image& mask, int x, int y) {
  return x >= 0 && y >= 0 && x < mask.width && y < mask.height && *mask.at(x, y) == 1;
}

}  // namespace

Color oklch(double lightness, double chroma, double hue_deg) {
  const double hue = hue_deg * std::numbers::pi / 180;
  const double a = chroma * std::cos(hue), b = chroma * std::sin(hue);
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {to_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          to_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          to_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

Color heat_color(double value) {
  value = std::isfinite(value) ? std::clamp(value, 0.0, 1.0) : 0;
  // Chroma at even steps: what sRGB can show along the way from violet to yellow.
  constexpr double kChroma[] = {0.03, 0.15, 0.20, 0.20, 0.19, 0.17, 0.11};
  constexpr int kSteps = int(std::size(kChroma)) - 1;
  const int step = std::min(int(value * kSteps), kSteps - 1);
  const double between = value * kSteps - step;
  const double chroma = (1 - between) * kChroma[step] + between * kChroma[step + 1];
  return oklch(0.12 + 0.84 * value, chroma, 290 + 175 * value);
}

Color class_color(int label) {
  constexpr double kGoldenAngle_deg = 137.508;
  return oklch(label % 2 == 0 ? 0.72 : 0.64, 0.17, 35 + kGoldenAngle_deg * (label - 1));
}

void draw_box(Image& rgb, const PixelBox& box, Color color, int thickness) {
  const int x0 = int(std::lround(box.x0)), y0 = int(std::lround(box.y0));
  const int x1 = int(std::lround(box.x1)), y1 = int(std::lround(box.y1));
  fill(rgb, x0, y0, x1, y0 + thickness, color);
  fill(rgb, x0, y1 - thickness, x1, y1, color);
  fill(rgb, x0, y0, x0 + thickness, y1, color);
  fill(rgb, x1 - thickness, y0, x1, y1, color);
}

ImageSize label_size(const std::string& text, int scale) {
  return {(int(text.size()) * (kGlyphWidth + 1) + 3) * scale, (kGlyphHeight + 4) * scale};
}

void draw_label(Image& rgb, int x, int y, const std::string& text, Color color, int scale) {
  const ImageSize bar = label_size(text, scale);
  x = std::max(0, std::min(x, rgb.width - bar.width));
  y = std::max(0, std::min(y, rgb.height - bar.height));
  fill(rgb, x, y, x + bar.width, y + bar.height, color);
  const Color letters = luma(color.data()) > 140 ? Color{20, 20, 20} : Color{255, 255, 255};
  draw_text(rgb, x + 2 * scale, y + 2 * scale, text, letters, scale);
}

PixelBox place_label(const PixelBox& box, float width, float height, ImageSize picture,
                     std::vector<PixelBox>& taken) {
  const auto at = [&](float x, float y) { return PixelBox{x, y, x + width, y + height}; };
  const auto free = [&](const PixelBox& place) {
    const auto overlaps = [&](const PixelBox& name) {
      return std::max(place.x0, name.x0) < std::min(place.x1, name.x1) &&
             std::max(place.y0, name.y0) < std::min(place.y1, name.y1);
    };
    return place.x0 >= 0 && place.y0 >= 0 && place.x1 <= float(picture.width) &&
           place.y1 <= float(picture.height) && std::none_of(taken.begin(), taken.end(), overlaps);
  };
  const float left = box.x0, right = box.x1 - width, above = box.y0 - height;
  const std::vector<PixelBox> places{at(left, above),  at(right, above),
                                     at(left, box.y1), at(right, box.y1),
                                     at(left, box.y0), at(right, box.y1 - height)};
  const auto found = std::find_if(places.begin(), places.end(), free);
  taken.push_back(found == places.end() ? places.front() : *found);
  return taken.back();
}

void draw_labelled_boxes(Image& rgb, const std::vector<LabelledBox>& boxes) {
  const int scale = std::max(1, int(std::lround(std::min(rgb.width, rgb.height) / 200.0)));
  for (const LabelledBox& b : boxes) draw_box(rgb, b.box, b.color, scale);
  std::vector<PixelBox> taken;
  for (const LabelledBox& b : boxes) {
    const ImageSize bar = label_size(b.text, scale);
    const PixelBox place =
        place_label(b.box, float(bar.width), float(bar.height), rgb.size(), taken);
    draw_label(rgb, int(std::lround(place.x0)), int(std::lround(place.y0)), b.text, b.color, scale);
  }
}

Tensor resize_map(const Tensor& map, ImageSize size) {
  check(map.rank() == 2 && map.dtype() == DType::kF32 && map.size() > 0, "map is ", map,
        "; expected f32(h, w)");
  const int64_t h = map.dim(0), w = map.dim(1);
  const std::vector<float> from = map.to_vector<float>();
  // The two neighbours of an output pixel's centre, and the second one's weight.
  struct Tap {
    int64_t low, high;
    double share;
  };
  const auto tap = [](int i, int out, int64_t in) -> Tap {
    const double at = std::clamp((i + 0.5) * double(in) / out - 0.5, 0.0, double(in - 1));
    const auto low = int64_t(at);
    return {low, std::min(low + 1, in - 1), at - double(low)};
  };
  std::vector<float> values(size_t(size.width) * size_t(size.height));
  for (int y = 0; y < size.height; ++y) {
    const Tap v = tap(y, size.height, h);
    for (int x = 0; x < size.width; ++x) {
      const Tap u = tap(x, size.width, w);
      const auto row = [&](int64_t r) {
        return (1 - u.share) * from[size_t(r * w + u.low)] + u.share * from[size_t(r * w + u.high)];
      };
      values[size_t(y) * size_t(size.width) + size_t(x)] =
          float((1 - v.share) * row(v.low) + v.share * row(v.high));
    }
  }
  return Tensor::from(values, {size.height, size.width});
}

Image heat_picture(const Tensor& map, ImageSize size) {
  const std::vector<float> values = resize_map(map, size).to_vector<float>();
  Image heat(size.width, size.height, 3);
  for (size_t i = 0; i < values.size(); ++i) {
    const Color color = heat_color(values[i]);
    std::copy(color.begin(), color.end(), &heat.pixels[3 * i]);
  }
  return heat;
}

Tensor brightened(const Tensor& map) {
  std::vector<float> values = map.to_vector<float>();
  const float most = *std::max_element(values.begin(), values.end());
  for (float& value : values) value = most > 0 ? value / most : 0;
  return Tensor::from(values, map.shape());
}

Image heat_overlay(const Image& rgb, const Tensor& map) {
  const std::vector<float> values = resize_map(map, rgb.size()).to_vector<float>();
  Image result = rgb;
  for (size_t i = 0; i < values.size(); ++i) {
    uint8_t* pixel = &result.pixels[3 * i];
    const uint8_t grey = to_byte(0.55 * luma(pixel));
    mix(pixel, {grey, grey, grey}, 0.85);
    const double value = std::isfinite(values[i]) ? std::clamp(values[i], 0.f, 1.f) : 0;
    mix(pixel, heat_color(value), 0.85 * std::sqrt(value));
  }
  return result;
}

void draw_mask(Image& rgb, const Image& mask, Color color, double tint) {
  check(mask.size() == rgb.size() && mask.channels == 1, "mask of ", mask.width, " x ", mask.height,
        " on a picture of ", rgb.width, " x ", rgb.height);
  const int reach = std::max(1, std::min(rgb.width, rgb.height) / 200);
  for (int y = 0; y < rgb.height; ++y)
    for (int x = 0; x < rgb.width; ++x) {
      if (!is_set(mask, x, y)) continue;
      const bool edge = !is_set(mask, x - reach, y) || !is_set(mask, x + reach, y) ||
                        !is_set(mask, x, y - reach) || !is_set(mask, x, y + reach);
      mix(rgb.at(x, y), color, edge ? 1 : tint);
    }
}

Image mask_overlay(const Image& rgb, const Image& mask, Color color) {
  Image result = rgb;
  draw_mask(result, mask, color, 0.25);
  for (int y = 0; y < rgb.height; ++y)
    for (int x = 0; x < rgb.width; ++x) {
      if (is_set(mask, x, y)) continue;
      uint8_t* pixel = result.at(x, y);
      const uint8_t grey = to_byte(0.5 * luma(pixel) + (*mask.at(x, y) == 255 ? 70 : 0));
      mix(pixel, {grey, grey, grey}, 0.75);
    }
  return result;
}

Image contact_sheet(const std::vector<std::string>& titles, const std::vector<SheetRow>& rows,
                    ImageSize cell) {
  constexpr int kGap = 8, kLine = 18;
  const Color ground{250, 250, 250}, ink{40, 40, 40};
  const int columns = int(titles.size());
  Image sheet(kGap + columns * (cell.width + kGap),
              kLine + kGap + int(rows.size()) * (cell.height + kLine + kGap), 3);
  fill(sheet, 0, 0, sheet.width, sheet.height, ground);
  for (int c = 0; c < columns; ++c)
    draw_text(sheet, kGap + c * (cell.width + kGap), kGap, titles[size_t(c)], ink, 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    check(rows[r].pictures.size() <= titles.size(), "contact sheet: a row of ",
          rows[r].pictures.size(), " pictures; expected at most ", titles.size());
    const int top = kLine + kGap + int(r) * (cell.height + kLine + kGap);
    draw_text(sheet, kGap, top + 4, rows[r].caption, ink, 1);
    for (size_t c = 0; c < rows[r].pictures.size(); ++c) {
      const Image& picture = rows[r].pictures[c];
      const double scale =
          std::min(double(cell.width) / picture.width, double(cell.height) / picture.height);
      const Image small = resize_bilinear(picture, {std::max(1, int(picture.width * scale)),
                                                    std::max(1, int(picture.height * scale))});
      const int left = kGap + int(c) * (cell.width + kGap) + (cell.width - small.width) / 2;
      for (int y = 0; y < small.height; ++y)
        std::copy_n(small.at(0, y), small.width * 3, sheet.at(left, top + kLine + y));
    }
  }
  return sheet;
}

}  // namespace bbam
