#include "cli/label_paint.h"

#include <algorithm>

#include "cli/boxes.h"
#include "tensor/check.h"

namespace bbam {
namespace {

int64_t value_of(const Dataset& dataset, const LabelTask& task, size_t i) {
  const int position = task.objects[i];
  return dataset.numbers_objects ? task.record->objects[size_t(position)].id : position + 1;
}

bool fits(int64_t value) { return value >= 1 && value < kIgnoreLabel; }

void ignore_ground_inside(const PixelRect& box, int64_t width, std::vector<uint8_t>& pixels) {
  for (int64_t row = box.y0; row < box.y1; ++row)
    for (int64_t col = box.x0; col < box.x1; ++col) {
      uint8_t& pixel = pixels[size_t(row * width + col)];
      if (pixel == 0) pixel = kIgnoreLabel;
    }
}

}  // namespace

void check_classes_fit(const Dataset& dataset, const std::vector<bool>& usable_labels) {
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    check(!usable_labels[c + 1] || fits(dataset.source_labels[c]), "the class \"",
          dataset.classes[c], "\" has the id ", dataset.source_labels[c],
          "; label maps hold 1 to 254: give it another id, or leave it out with --classes");
}

void check_objects_fit(const Dataset& dataset, const LabelTask& task) {
  for (size_t i = 0; i < task.objects.size(); ++i) {
    const int64_t value = value_of(dataset, task, i);
    check(fits(value), task.record->image_path, ": has an object of the number ", value,
          "; label maps hold 1 to 254");
  }
}

LabelImage painted_labels(const Dataset& dataset, const LabelTask& task,
                          const std::vector<ObjectLabel>& labels) {
  std::vector<PaintedObject> objects;
  std::vector<uint8_t> values{0};
  for (size_t i = 0; i < labels.size(); ++i) {
    const Object& object = task.record->objects[size_t(task.objects[i])];
    objects.push_back({labels[i].foreground, labels[i].ignore, array_of(object.box),
                       dataset.source_labels[size_t(object.label - 1)]});
    values.push_back(uint8_t(value_of(dataset, task, i)));
  }
  const int64_t height = task.record->height, width = task.record->width;
  const LabelImage painted = paint_labels(objects, height, width);
  std::vector<uint8_t> class_values = painted.classes.to_vector<uint8_t>();
  std::vector<uint8_t> object_values = painted.objects.to_vector<uint8_t>();
  for (uint8_t& value : object_values)
    if (value != kIgnoreLabel) value = values[value];
  for (size_t k = 0; k < task.record->objects.size(); ++k) {
    if (std::count(task.objects.begin(), task.objects.end(), int(k)) > 0) continue;
    const PixelRect box = pixel_rect(task.record->objects[k].box, task.record->size());
    ignore_ground_inside(box, width, class_values);
    ignore_ground_inside(box, width, object_values);
  }
  return {Tensor::from(class_values, {height, width}),
          Tensor::from(object_values, {height, width})};
}

}  // namespace bbam
