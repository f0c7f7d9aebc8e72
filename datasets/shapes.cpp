#include "datasets/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <thread>

#include "datasets/figure.h"
#include "datasets/prefetcher.h"
#include "datasets/voc.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/random.h"

namespace bbam {
namespace {

using namespace shapes;
using std::numbers::pi;

// Scenes of the two splits are counted from here.
constexpr uint64_t kValScenes = uint64_t(1) << 32;
constexpr int kSamples = 4;  // a side, within a pixel
constexpr double kVisibleShare = 0.6;

constexpr std::array<Texture, kOutlines> kTextureOfOutline{kDots, kChecks, kStripes, kBlotches,
                                                           kRipples};

class Canvas {
 public:
  Canvas(int width, int height) : width_(width), height_(height), colors_(size_t(width) * height) {}

  int width() const { return width_; }
  int height() const { return height_; }
  size_t index(int x, int y) const { return size_t(y) * width_ + x; }
  Color& at(int x, int y) { return colors_[index(x, y)]; }

  // Calls f(x, y) for the pixels within `reach` of a point.
  template <class F>
  void around(Vec middle, double reach, F&& f) const {
    const int x0 = std::max(0, int(middle.x - reach)), y0 = std::max(0, int(middle.y - reach));
    const int x1 = std::min(width_ - 1, int(middle.x + reach));
    const int y1 = std::min(height_ - 1, int(middle.y + reach));
    for (int y = y0; y <= y1; ++y)
      for (int x = x0; x <= x1; ++x) f(x, y);
  }

  Image to_image(const Random& grain) const {
    Image image(width_, height_, 3);
    for (size_t i = 0; i < colors_.size(); ++i) {
      const double speck = grain.uniform(i, -0.012, 0.012);
      const double channels[3] = {colors_[i].red, colors_[i].green, colors_[i].blue};
      for (size_t c = 0; c < 3; ++c)
        image.pixels[3 * i + c] =
            uint8_t(std::lround(255 * std::clamp(channels[c] + speck, 0.0, 1.0)));
    }
    return image;
  }

 private:
  int width_, height_;
  std::vector<Color> colors_;
};

// The share of the pixel that lies inside, from 4 x 4 samples.
template <class Distance>
double coverage(int x, int y, Distance&& distance_px) {
  const double at_middle = distance_px(Vec{x + 0.5, y + 0.5});
  if (at_middle > 1.5) return 0;
  if (at_middle < -1.5) return 1;
  int inside = 0;
  for (int i = 0; i < kSamples * kSamples; ++i)
    inside += distance_px(Vec{x + (i % kSamples + 0.5) / kSamples,
                              y + (i / kSamples + 0.5) / kSamples}) < 0;
  return double(inside) / (kSamples * kSamples);
}

struct Range {
  double low, high;
};

// Numbers are drawn one a statement: the order of a call's arguments is the compiler's choice.
Color random_color(RandomSequence& random, Range saturation, Range value) {
  const double hue = random.uniform();
  const double s = random.uniform(saturation.low, saturation.high);
  const double v = random.uniform(value.low, value.high);
  return from_hsv(hue, s, v);
}

// Patches around random points, each of a muted tone with a weave of its own.
void paint_ground(Canvas& canvas, RandomSequence& random, uint64_t grain_seed) {
  struct Patch {
    Vec middle;
    Color color;
    Vec across;  // the weave, in periods a pixel
  };
  std::vector<Patch> patches(size_t(5 + random.below(5)));
  const double brightness = random.uniform(0.3, 0.7);
  for (Patch& patch : patches)
    patch = {{random.uniform(0, canvas.width()), random.uniform(0, canvas.height())},
             random_color(random, {0.05, 0.25}, {brightness - 0.2, brightness + 0.2}),
             direction(random.uniform(0, pi)) * (1 / random.uniform(4, 9))};
  const Random grain(grain_seed);
  const double fold_px = canvas.height() / 4.0;
  for (int y = 0; y < canvas.height(); ++y)
    for (int x = 0; x < canvas.width(); ++x) {
      const Vec p{x + 0.5, y + 0.5};
      const Vec bent =
          p + Vec{noise(grain, p * (1 / fold_px)), noise(grain, p * (1 / fold_px) + Vec{57, 31})} *
                  (0.4 * fold_px);
      const Patch* nearest = &patches[0];
      for (const Patch& patch : patches)
        if ((patch.middle - bent).length() < (nearest->middle - bent).length()) nearest = &patch;
      const double weave = std::sin(2 * pi * p.dot(nearest->across));
      const double cloud = noise(grain, p * (2 / fold_px) + Vec{13, 71});
      canvas.at(x, y) = nearest->color * (1 + 0.05 * weave + 0.08 * cloud);
    }
}

// Thin bars in colours like those of objects, so that colour alone marks no object.
void paint_sticks(Canvas& canvas, RandomSequence& random) {
  const int64_t count = random.below(6);
  for (int64_t k = 0; k < count; ++k) {
    const Vec middle{random.uniform(0, canvas.width()), random.uniform(0, canvas.height())};
    const double half = random.uniform(6, 16), thick = random.uniform(1.2, 2.2);
    const Vec end = direction(random.uniform(0, pi)) * half;
    const Color color = random_color(random, {0.7, 0.7}, {0.5, 0.95});
    const auto distance = [&](Vec p) {
      const double along = std::clamp((p - middle).dot(end) / end.dot(end), -1.0, 1.0);
      return (p - middle - end * along).length() - thick;
    };
    canvas.around(middle, half + thick + 1, [&](int x, int y) {
      canvas.at(x, y) = mixed(canvas.at(x, y), color, coverage(x, y, distance));
    });
  }
}

void paint_shadow(Canvas& canvas, const Figure& figure, Vec light) {
  const double blur = 0.12 * figure.radius_px + 1;
  const Vec shift = light * (-0.12 * figure.radius_px);
  canvas.around(figure.middle + shift, figure.reach_px() + blur, [&](int x, int y) {
    const double distance = figure.distance_px(Vec{x + 0.5, y + 0.5} - shift);
    canvas.at(x, y) = canvas.at(x, y) * (0.65 + 0.35 * smooth_step(-blur, blur, distance));
  });
}

void measure_cover(Figure& figure, const Canvas& canvas) {
  figure.cover.assign(size_t(canvas.width()) * canvas.height(), 0);
  canvas.around(figure.middle, figure.reach_px(), [&](int x, int y) {
    const double share = coverage(x, y, [&](Vec p) { return figure.distance_px(p); });
    figure.cover[canvas.index(x, y)] = float(share);
    figure.area_px += share >= 0.5;
  });
}

void paint_figure(Canvas& canvas, const Figure& figure, Vec light) {
  paint_shadow(canvas, figure, light);
  canvas.around(figure.middle, figure.reach_px(), [&](int x, int y) {
    if (const double share = figure.cover[canvas.index(x, y)]; share > 0)
      canvas.at(x, y) = mixed(canvas.at(x, y), figure.color_at({x + 0.5, y + 0.5}, light), share);
  });
}

// Which figure, counted from 1, is seen at each pixel: the last that covers half of it.
Image object_map_of(const std::vector<Figure>& figures, const Canvas& canvas) {
  Image map(canvas.width(), canvas.height(), 1);
  for (size_t k = 0; k < figures.size(); ++k)
    for (size_t i = 0; i < map.pixels.size(); ++i)
      if (figures[k].cover[i] >= 0.5f) map.pixels[i] = uint8_t(k + 1);
  return map;
}

// Whether every figure shows enough of itself.
bool all_visible(const std::vector<Figure>& figures, const Canvas& canvas) {
  const Image map = object_map_of(figures, canvas);
  for (size_t k = 0; k < figures.size(); ++k) {
    const auto seen = std::count(map.pixels.begin(), map.pixels.end(), uint8_t(k + 1));
    if (double(seen) < kVisibleShare * double(figures[k].area_px)) return false;
  }
  return true;
}

Figure random_figure(RandomSequence& random, const ShapesOptions& options, uint64_t grain_seed) {
  Figure figure;
  const double side = std::min(options.width, options.height);
  figure.outline = int(random.below(kOutlines));
  const bool own_texture = random.uniform() < 0.75;
  const int any_texture = int(random.below(kTextures));
  figure.texture = own_texture ? kTextureOfOutline[size_t(figure.outline)] : any_texture;
  figure.radius_px = side * 0.14 * std::pow(2.4, random.uniform());
  figure.stretch = std::exp(random.uniform(-0.2, 0.2));
  figure.turn = Rotation(random.uniform(0, 2 * pi));
  figure.texture_turn = Rotation(random.uniform(0, 2 * pi));
  figure.period_px = std::max(5.0, figure.radius_px * random.uniform(0.35, 0.5));
  const double inset = 0.7 * figure.radius_px;
  figure.middle = {random.uniform(inset, options.width - inset),
                   random.uniform(inset, options.height - inset)};
  figure.first = random_color(random, {0.6, 0.85}, {0.8, 0.98});
  figure.second = mixed(figure.first, random_color(random, {0.6, 0.85}, {0.1, 0.4}), 0.6);
  figure.grain = Random(grain_seed);
  return figure;
}

std::vector<Figure> arrange(const Canvas& canvas, const ShapesOptions& options,
                            RandomSequence& random, uint64_t grain_seed) {
  std::vector<Figure> figures;
  const int wanted = 1 + int(random.below(options.max_objects));
  for (int attempt = 0; attempt < 10 * wanted && int(figures.size()) < wanted; ++attempt) {
    figures.push_back(random_figure(random, options, grain_seed + figures.size() + 1));
    measure_cover(figures.back(), canvas);
    if (!all_visible(figures, canvas)) figures.pop_back();
  }
  return figures;
}

Object object_of(const Image& map, const Figure& figure, int64_t id) {
  int x0 = map.width, y0 = map.height, x1 = 0, y1 = 0;
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < map.width; ++x)
      if (map.at(x, y)[0] == id) {
        x0 = std::min(x0, x);
        y0 = std::min(y0, y);
        x1 = std::max(x1, x + 1);
        y1 = std::max(y1, y + 1);
      }
  const PixelBox box{float(x0), float(y0), float(x1), float(y1)};
  return {.box = box, .label = figure.outline + 1, .id = id, .area_px = box.area()};
}

void check_options(const ShapesOptions& o) {
  check(o.train >= 1 && o.val >= 1, "shapes: ", o.train, " and ", o.val,
        " pictures; expected at least one of each split");
  check(o.width >= 32 && o.width <= 4096 && o.height >= 32 && o.height <= 4096, "shapes: ", o.width,
        " x ", o.height, " pixels; expected 32 to 4096");
  check(o.max_objects >= 1 && o.max_objects <= 50, "shapes: at most ", o.max_objects,
        " objects; expected 1 to 50");
}

uint64_t scene_index(const ShapesOptions& options, int64_t picture) {
  return picture < options.train ? uint64_t(picture)
                                 : kValScenes + uint64_t(picture - options.train);
}

void write_scene(const std::string& folder, const std::string& id, const Scene& scene) {
  Record record{.id = id, .image_path = folder + "/JPEGImages/" + id + ".jpg"};
  record.width = scene.picture.width;
  record.height = scene.picture.height;
  record.objects = scene.objects;
  record.object_map_path = folder + "/SegmentationObject/" + id + ".png";
  write_jpeg(record.image_path, scene.picture, 95);
  write_label_png(record.object_map_path, scene.object_map);
  write_label_png(folder + "/SegmentationClass/" + id + ".png", scene.class_map);
  write_voc_annotation(folder + "/Annotations/" + id + ".xml", record, shape_classes());
}

}  // namespace

const std::vector<std::string>& shape_classes() {
  static const std::vector<std::string> names{"disc", "square", "triangle", "star", "ring"};
  return names;
}

Scene draw_scene(const ShapesOptions& options, uint64_t index) {
  check_options(options);
  RandomSequence random(options.seed, index);
  const uint64_t grain_seed = Random(options.seed, index).bits(uint64_t(1) << 32);
  Canvas canvas(options.width, options.height);
  const Vec light = direction(random.uniform(0, 2 * pi));
  paint_ground(canvas, random, grain_seed);
  paint_sticks(canvas, random);
  const std::vector<Figure> figures = arrange(canvas, options, random, grain_seed);
  for (const Figure& figure : figures) paint_figure(canvas, figure, light);

  Scene scene;
  scene.picture = canvas.to_image(Random(grain_seed));
  scene.object_map = object_map_of(figures, canvas);
  scene.class_map = scene.object_map;
  for (uint8_t& value : scene.class_map.pixels)
    if (value != 0) value = uint8_t(figures[value - 1u].outline + 1);
  for (size_t k = 0; k < figures.size(); ++k)
    scene.objects.push_back(object_of(scene.object_map, figures[k], int64_t(k) + 1));
  return scene;
}

void write_shapes(const std::string& folder, const ShapesOptions& options,
                  const std::function<void(int, int)>& progress) {
  check_options(options);
  for (const char* name : {"JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject",
                           "ImageSets/Main", "ImageSets/Segmentation"})
    make_folder(folder + "/" + name);

  const int total = options.train + options.val;
  const int workers = std::max(1, int(std::thread::hardware_concurrency()));
  Prefetcher<Scene> scenes([&](int64_t i) { return draw_scene(options, scene_index(options, i)); },
                           0, workers, 2 * workers);
  std::string lists[2];  // train, val
  for (int i = 0; i < total; ++i) {
    char id[16];
    std::snprintf(id, sizeof id, "%06d", i + 1);
    write_scene(folder, id, scenes.next());
    lists[i >= options.train] += std::string(id) + "\n";
    if (progress) progress(i + 1, total);
  }
  std::string names;
  for (const std::string& name : shape_classes()) names += name + "\n";
  write_file(folder + "/classes.txt", names);
  for (const std::string kind : {"Main", "Segmentation"}) {
    write_file(folder + "/ImageSets/" + kind + "/train.txt", lists[0]);
    write_file(folder + "/ImageSets/" + kind + "/val.txt", lists[1]);
  }
}

}  // namespace bbam
