// Drawing on pictures: boxes with labels, masks, heat maps, sheets of many pictures.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "datasets/image.h"
#include "tensor/tensor.h"

namespace bbam {

using Color = std::array<uint8_t, 3>;  // red, green, blue

// A colour from the OKLCH space [Ottosson 2020]: lightness 0 to 1, chroma from 0, hue in degrees;
// what sRGB cannot show is clipped. Equal steps of lightness look equal.
Color oklch(double lightness, double chroma, double hue_deg);
// The scale of heat maps: value 0 to 1 from near-black violet through red and orange to pale
// yellow, its lightness rising evenly.
Color heat_color(double value);
// Distinct colours for labels 1, 2, ...
Color class_color(int label);

// Lines lie inside the box and are clipped to the picture.
void draw_box(Image& rgb, const PixelBox& box, Color color, int thickness = 2);
// White or black letters of 5 x 7 pixels times `scale` on a bar of that colour, moved inside the
// picture. (x, y) is the bar's upper left corner. Characters other than ASCII's become '?'.
void draw_label(Image& rgb, int x, int y, const std::string& text, Color color, int scale = 1);
// The bar's extents.
ImageSize label_size(const std::string& text, int scale = 1);

struct LabelledBox {
  PixelBox box;
  std::string text;
  Color color;
};
// The boxes, and on them their labels, each where place_label says.
void draw_labelled_boxes(Image& rgb, const std::vector<LabelledBox>& boxes);
// Where the label of a box goes, which is of that width and height: the first place above, below
// and inside the box that stays in the picture and covers no label in `taken`, to which it is
// added; above the box if there is none.
PixelBox place_label(const PixelBox& box, float width, float height, ImageSize picture,
                     std::vector<PixelBox>& taken);

// A map (h, w) f32 with the greatest value 1; what is 0 everywhere stays so.
Tensor brightened(const Tensor& map);
// map: (h, w) f32, values taken as 0 to 1; resized to the picture. The picture, dimmed and drained
// of colour, shines through where the map is low.
Image heat_overlay(const Image& rgb, const Tensor& map);
// The map's colours alone.
Image heat_picture(const Tensor& map, ImageSize size);
// mask: one channel, set where 1, void where 255. Mixes that share of the colour into what is set,
// and draws its outline.
void draw_mask(Image& rgb, const Image& mask, Color color, double tint = 0.5);
// The same, less tinted, on a picture of which the rest is dimmed.
Image mask_overlay(const Image& rgb, const Image& mask, Color color);

// (h, w) f32 of any size to (height, width), bilinear, half-pixel corners.
Tensor resize_map(const Tensor& map, ImageSize size);

struct SheetRow {
  std::string caption;
  std::vector<Image> pictures;
};
// Rows of pictures, each scaled to fit a cell of that size, captions above them, titles of the
// columns on top.
Image contact_sheet(const std::vector<std::string>& titles, const std::vector<SheetRow>& rows,
                    ImageSize cell);

}  // namespace bbam
