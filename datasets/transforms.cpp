#include "datasets/transforms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/check.h"

namespace bbam {
namespace {

constexpr int kWeightBits = 22;

// The weights of one axis: output i is the sum over k of weights[i * most + k] * input[first[i]+k].
struct Taps {
  int most = 0;  // weights per output
  std::vector<int> first, count;
  std::vector<int32_t> weights;  // each output's sum to about 2^22
};

Taps triangle_taps(int from, int to) {
  const double scale = double(from) / to, reach = std::max(scale, 1.0);
  Taps taps;
  taps.most = int(std::ceil(reach)) * 2 + 1;
  taps.first.resize(size_t(to));
  taps.count.resize(size_t(to));
  taps.weights.assign(size_t(to) * taps.most, 0);
  std::vector<double> triangle(size_t(taps.most));
  for (int i = 0; i < to; ++i) {
    const double middle = (i + 0.5) * scale;
    const int first = std::max(int(middle - reach + 0.5), 0);
    const int count = std::min(int(middle + reach + 0.5), from) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      triangle[k] = std::max(0.0, 1 - std::abs((first + k - middle + 0.5) / reach));
      sum += triangle[k];
    }
    for (int k = 0; k < count; ++k)
      taps.weights[size_t(i) * taps.most + k] =
          int32_t(0.5 + triangle[k] / sum * (1 << kWeightBits));
    taps.first[i] = first;
    taps.count[i] = count;
  }
  return taps;
}

uint8_t rounded(int32_t sum) {
  return uint8_t(std::clamp((sum + (1 << (kWeightBits - 1))) >> kWeightBits, 0, 255));
}

Image resize_columns(const Image& image, int width) {
  const Taps taps = triangle_taps(image.width, width);
  const int channels = image.channels;
  Image out(width, image.height, channels);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < width; ++x) {
      const int32_t* weights = &taps.weights[size_t(x) * taps.most];
      for (int c = 0; c < channels; ++c) {
        const uint8_t* in = image.at(taps.first[x], y) + c;
        int32_t sum = 0;
        for (int k = 0; k < taps.count[x]; ++k) sum += weights[k] * in[k * channels];
        out.at(x, y)[c] = rounded(sum);
      }
    }
  return out;
}

Image resize_rows(const Image& image, int height) {
  const Taps taps = triangle_taps(image.height, height);
  const int row = image.width * image.channels;
  Image out(image.width, height, image.channels);
  std::vector<int32_t> sums(static_cast<size_t>(row));
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int k = 0; k < taps.count[y]; ++k) {
      const int32_t weight = taps.weights[size_t(y) * taps.most + k];
      const uint8_t* in = image.at(0, taps.first[y] + k);
      for (int i = 0; i < row; ++i) sums[i] += weight * in[i];
    }
    std::transform(sums.begin(), sums.end(), out.at(0, y), rounded);
  }
  return out;
}

void check_target(const Image& image, ImageSize to) {
  check(image.width > 0 && image.height > 0 && to.width > 0 && to.height > 0, "resize from ",
        image.width, " x ", image.height, " to ", to.width, " x ", to.height,
        "; expected pictures of at least one pixel");
}

}  // namespace

ImageSize resized_size(ImageSize original, int short_side, int long_side) {
  const auto [width, height] = original;
  check(width > 0 && height > 0 && short_side > 0 && long_side > 0, "resized_size: ", width, " x ",
        height, " to a short side of ", short_side, " and a long side of at most ", long_side,
        "; expected positive numbers");
  const double shorter = std::min(width, height), longer = std::max(width, height);
  int size = short_side;
  if (longer / shorter * size > long_side)
    size = std::max(1, int(std::nearbyint(long_side * shorter / longer)));
  if (width < height) return {size, std::max(1, int(double(size) * height / width))};
  return {std::max(1, int(double(size) * width / height)), size};
}

Image resize_bilinear(const Image& image, ImageSize to) {
  check_target(image, to);
  if (to == image.size()) return image;
  if (to.width == image.width) return resize_rows(image, to.height);
  const Image columns = resize_columns(image, to.width);
  return to.height == image.height ? columns : resize_rows(columns, to.height);
}

Image resize_nearest(const Image& image, ImageSize to) {
  check_target(image, to);
  Image out(to.width, to.height, image.channels);
  const double x_scale = double(image.width) / to.width;
  const double y_scale = double(image.height) / to.height;
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x)
      std::copy_n(image.at(int((x + 0.5) * x_scale), int((y + 0.5) * y_scale)), image.channels,
                  out.at(x, y));
  return out;
}

Image flip_horizontal(const Image& image) {
  Image out(image.width, image.height, image.channels);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      std::copy_n(image.at(image.width - 1 - x, y), image.channels, out.at(x, y));
  return out;
}

PixelBox flip_horizontal(const PixelBox& box, int width) {
  return {float(width) - box.x1, box.y0, float(width) - box.x0, box.y1};
}

PixelBox resize_box(const PixelBox& box, ImageSize from, ImageSize to) {
  const double x = double(to.width) / from.width, y = double(to.height) / from.height;
  return {float(box.x0 * x), float(box.y0 * y), float(box.x1 * x), float(box.y1 * y)};
}

Tensor to_bgr_tensor(const Image& rgb, PixelMean mean) {
  check(rgb.channels == 3, "to_bgr_tensor: a picture of ", rgb.channels, " channels; expected 3");
  Tensor out = Tensor::empty({rgb.height, rgb.width, 3});
  float* bgr = out.mutable_data<float>();
  for (size_t i = 0; i < rgb.pixels.size(); i += 3) {
    bgr[i] = float(rgb.pixels[i + 2]) - mean.blue;
    bgr[i + 1] = float(rgb.pixels[i + 1]) - mean.green;
    bgr[i + 2] = float(rgb.pixels[i]) - mean.red;
  }
  return out;
}

Tensor batch_images(const std::vector<Tensor>& images, int divisibility) {
  check(!images.empty() && divisibility >= 1, "batch_images: ", images.size(),
        " images, divisibility ", divisibility, "; expected at least one of each");
  int64_t height = 0, width = 0;
  for (const Tensor& image : images) {
    check_shape(image, {-1, -1, 3}, "batch_images: each image");
    height = std::max(height, image.dim(0));
    width = std::max(width, image.dim(1));
  }
  const auto round_up = [&](int64_t n) {
    return (n + divisibility - 1) / divisibility * divisibility;
  };
  height = round_up(height);
  width = round_up(width);
  Tensor batch = Tensor::zeros({int64_t(images.size()), height, width, 3});
  float* to = batch.mutable_data<float>();
  for (size_t n = 0; n < images.size(); ++n) {
    const int64_t row = images[n].dim(1) * 3;
    for (int64_t y = 0; y < images[n].dim(0); ++y)
      std::copy_n(images[n].data<float>() + y * row, row,
                  to + ((int64_t(n) * height + y) * width) * 3);
  }
  return batch;
}

}  // namespace bbam
