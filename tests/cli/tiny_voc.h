// Two pictures in VOC layout, written for one test. Picture "a" (40 x 30): a cat at (5, 5, 25, 25)
// whose mask is its left half and one void column, and a dog at (28, 3, 38, 13) whose mask fills
// it. Picture "b" (20 x 20): a cat at (2, 2, 12, 12) whose mask fills it.
#pragma once
#include <string>

#include "datasets/dataset.h"
#include "datasets/voc.h"
#include "tensor/files.h"

namespace bbam::test {

inline void fill(Image& image, int x0, int y0, int x1, int y1, uint8_t value) {
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x)
      for (int c = 0; c < image.channels; ++c) image.at(x, y)[c] = value;
}

inline void write_tiny_voc(const std::string& root) {
  for (const char* folder :
       {"JPEGImages", "Annotations", "ImageSets/Main", "SegmentationObject", "SegmentationClass"})
    make_folder(root + "/" + folder);
  write_file(root + "/classes.txt", "cat\ndog\n");
  write_file(root + "/ImageSets/Main/val.txt", "a\nb\n");
  const auto write = [&](const std::string& id, const Image& picture, const Image& objects,
                         const Image& classes, const std::vector<Object>& boxes) {
    write_jpeg(root + "/JPEGImages/" + id + ".jpg", picture);
    write_label_png(root + "/SegmentationObject/" + id + ".png", objects);
    write_label_png(root + "/SegmentationClass/" + id + ".png", classes);
    Record record{.id = id, .image_path = id + ".jpg"};
    record.width = picture.width;
    record.height = picture.height;
    record.objects = boxes;
    write_voc_annotation(root + "/Annotations/" + id + ".xml", record, {"cat", "dog"});
  };
  Image picture(40, 30, 3), objects(40, 30, 1), classes(40, 30, 1);
  fill(picture, 0, 0, 40, 30, 90);
  fill(objects, 5, 5, 15, 25, 1);
  fill(objects, 15, 5, 16, 25, kVoid);
  fill(objects, 28, 3, 38, 13, 2);
  fill(classes, 5, 5, 15, 25, 1);
  fill(classes, 15, 5, 16, 25, kVoid);
  fill(classes, 28, 3, 38, 13, 2);
  write("a", picture, objects, classes,
        {{.box = {5, 5, 25, 25}, .label = 1}, {.box = {28, 3, 38, 13}, .label = 2}});
  Image small(20, 20, 3), one(20, 20, 1);
  fill(one, 2, 2, 12, 12, 1);
  write("b", small, one, one, {{.box = {2, 2, 12, 12}, .label = 1}});
}

}  // namespace bbam::test
