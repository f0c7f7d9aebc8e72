// What a data set says about its pictures: boxes, classes, masks; whatever its layout on disk.
//
// A sample that cannot be used is passed over and told in Dataset::problems; a data set that cannot
// be used at all is an Error. Nothing is decoded here but what a header tells.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "datasets/image.h"
#include "datasets/rle.h"

namespace bbam {

struct Object {
  PixelBox box = {};       // inside the picture, of positive area
  int label = 0;           // 1 .. number of classes
  bool difficult = false;  // VOC: not counted, neither for nor against a detector
  bool crowd = false;      // COCO: a region of many; likewise
  int64_t id = 0;          // VOC: its value in the object map, 1, 2, ...; COCO: the annotation's id
  double area_px = 0;      // COCO: the mask's area as annotated; VOC: the box's

  // The mask as COCO gives it: polygons x0, y0, x1, y1, ... in pixels, or runs.
  std::vector<std::vector<double>> polygons = {};
  std::optional<Rle> runs = {};
  std::optional<Rle> ignored = {};  // of labels: pixels that are neither in the mask nor outside
};

struct Record {
  std::string id = "";  // VOC: the file's stem; COCO: the image's id; folder: the file's name
  std::string image_path = "";
  int width = 0, height = 0;
  std::vector<Object> objects = {};
  std::string class_map_path = "", object_map_path = "";  // VOC's PNGs; "" where there is none

  ImageSize size() const { return {width, height}; }
};

struct Dataset {
  std::vector<std::string> classes;  // label c is classes[c - 1]
  std::vector<int> source_labels;    // what label c is called in the files: [c - 1]
  std::vector<Record> records;
  std::vector<std::string> problems;  // one line each: the file, what is wrong, what was done
  int64_t pictures_passed_over = 0;   // whole ones; each is told in problems
  bool numbers_objects = false;       // VOC: Object::id is the object's value in a map of objects

  const std::string& name_of(const Object& object) const {
    return classes[size_t(object.label - 1)];
  }
  // 0 where that class is not kept.
  int label_of_source(int source) const;
  // Throws Error listing the classes where there is none of that name.
  int label_of(const std::string& name) const;
};

struct DatasetOptions {
  // Keep only objects of these classes, as labels 1, 2, ... in this order; empty keeps all.
  std::vector<std::string> classes = {};
  // Whether pictures without any object that is neither difficult nor a crowd stay in.
  bool keep_images_without_objects = true;
};

// Reads the split of the VOC layout (a folder with ImageSets), else of the COCO layout
// (annotations/instances_SPLIT.json, pictures in SPLIT/). Throws Error for a folder of neither.
Dataset read_dataset(const std::string& root, const std::string& split,
                     const DatasetOptions& options = {});

// Paths of the folder's own JPEG and PNG files, by name; throws Error when there are none.
std::vector<std::string> pictures_in(const std::string& folder);

// The record's photograph; throws Error where its size is not what the annotation says.
Image read_picture(const Record& record);

inline constexpr uint8_t kVoid = 255;  // not counted in a label map or mask

// One mask per object of the record, one channel: 0, 1, or kVoid where the object map is void or
// the object ignores pixels.
// Throws Error where an object has no mask, or the map's size is not the picture's.
std::vector<Image> read_masks(const Record& record);
bool has_masks(const Record& record);

// One channel: 0 ground, 1 .. C classes, kVoid. VOC's class map with the kept classes' labels; for
// COCO painted from the masks, larger first, crowds void.
Image read_class_map(const Dataset& dataset, const Record& record);

// For readers of a layout. `names` and `source_labels` are all classes of the data set.
void choose_classes(Dataset& dataset, const std::vector<std::string>& names,
                    const std::vector<int>& source_labels, const DatasetOptions& options,
                    const std::string& source);
// Clips to the picture. False, with a line in problems that begins with `where`, when the box is
// not finite or has no area inside; a line too when more than a pixel was cut away.
bool clip_box(PixelBox& box, ImageSize size, const std::string& where,
              std::vector<std::string>& problems);
// Drops what the options say; Error when no picture of `listed` could be used.
void finish_records(Dataset& dataset, const DatasetOptions& options, size_t listed,
                    const std::string& source);

}  // namespace bbam
