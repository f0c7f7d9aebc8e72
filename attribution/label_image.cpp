#include "attribution/label_image.h"

#include <algorithm>
#include <numeric>

namespace bbam {
namespace {

bool lies_inside(const BoxArray& inner, const BoxArray& outer) {
  return inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] &&
         inner[3] <= outer[3];
}

std::vector<size_t> smallest_first(const std::vector<PaintedObject>& objects) {
  std::vector<size_t> order(objects.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return area(as_box(objects[a].box)) < area(as_box(objects[b].box));
  });
  return order;
}

const uint8_t* pixels_of(const Tensor& mask, int64_t height, int64_t width, const char* name) {
  check_shape(mask, {height, width}, name);
  check(mask.device().is_cpu(), name, " is ", mask, "; expected it on the CPU");
  return mask.data<uint8_t>();
}

constexpr int kNobody = -1;

}  // namespace

LabelImage paint_labels(const std::vector<PaintedObject>& objects, int64_t height, int64_t width) {
  check(objects.size() < kIgnoreLabel, objects.size(), " objects in one image; at most 254");
  const auto pixels = size_t(height * width);
  std::vector<int> owner(pixels, kNobody);
  std::vector<uint8_t> ignored(pixels, 0);
  for (const size_t k : smallest_first(objects)) {
    const PaintedObject& object = objects[k];
    check(object.class_label >= 1 && object.class_label < kIgnoreLabel, "class ",
          object.class_label, " cannot be painted; expected 1 to 254");
    const uint8_t* foreground =
        pixels_of(object.foreground, height, width, "paint_labels: foreground");
    const uint8_t* band = object.ignore.defined()
                              ? pixels_of(object.ignore, height, width, "paint_labels: ignore")
                              : nullptr;
    for (size_t i = 0; i < pixels; ++i) {
      if (band && band[i]) ignored[i] = 1;
      if (!foreground[i]) continue;
      if (owner[i] == kNobody) {
        owner[i] = int(k);
        continue;
      }
      const PaintedObject& smallest = objects[size_t(owner[i])];
      if (smallest.class_label != object.class_label && !lies_inside(smallest.box, object.box))
        ignored[i] = 1;
    }
  }
  std::vector<uint8_t> classes(pixels), indices(pixels);
  for (size_t i = 0; i < pixels; ++i) {
    const bool owned = owner[i] != kNobody;
    classes[i] = ignored[i] ? kIgnoreLabel
                 : owned    ? uint8_t(objects[size_t(owner[i])].class_label)
                            : 0;
    indices[i] = ignored[i] ? kIgnoreLabel : owned ? uint8_t(owner[i] + 1) : 0;
  }
  return {Tensor::from(classes, {height, width}), Tensor::from(indices, {height, width})};
}

}  // namespace bbam
