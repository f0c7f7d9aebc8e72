#include "cli/label_paint.h"

#include "tensor/check.h"

namespace bbam {
namespace {

int64_t value_of(const Dataset& dataset, const LabelTask& task, size_t i) {
  const int position = task.objects[i];
  return dataset.numbers_objects ? task.record->objects[size_t(position)].id : position + 1;
}

bool fits(int64_t value) { return value >= 1 && value < kIgnoreLabel; }

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
    const PixelBox& b = object.box;
    objects.push_back({labels[i].foreground,
                       labels[i].ignore,
                       {b.x0, b.y0, b.x1, b.y1},
                       dataset.source_labels[size_t(object.label - 1)]});
    values.push_back(uint8_t(value_of(dataset, task, i)));
  }
  LabelImage result = paint_labels(objects, task.record->height, task.record->width);
  std::vector<uint8_t> pixels = result.objects.to_vector<uint8_t>();
  for (uint8_t& pixel : pixels)
    if (pixel != kIgnoreLabel) pixel = values[pixel];
  result.objects = Tensor::from(pixels, result.objects.shape());
  return result;
}

LabelImage empty_labels(ImageSize size) { return paint_labels({}, size.height, size.width); }

}  // namespace bbam
