// What bbam pseudo-label keeps in its folder, image by image, so that it can be stopped and started
// again, divided among processes, and its labels made anew from the same maps:
//
//   settings.json                the settings that decide about the labels
//   images/ID.json               an image's objects and masks, written last: the image is finished
//   maps/ID-K.npy                the map of object K, (h, w) f32 in [0, 1], to be upsampled to the
//                                photograph: BBAM's coarse mask, or a gradient method's map, which
//                                has the photograph's size already; none without positives
//   SegmentationObject/ID.png    painted labels, VOC's palette, 255 ignored; once all objects of
//   the SegmentationClass/ID.png     data set are labelled, also of images without any
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attribution/label_image.h"
#include "attribution/pseudo_label.h"
#include "cli/command.h"
#include "datasets/image.h"
#include "datasets/rle.h"

namespace bbam {

struct LabelledObject {
  int object = 0;  // index in Record::objects
  std::string class_name;
  PixelBox box;
  int64_t positives = 0;
  double positive_iou = 0, mean_positive_iou = 0, stride_px = 0;
  LabelSource source = LabelSource::kMap;
  Rle foreground, ignore;
};

struct LabelledImage {
  std::string image_id;
  std::vector<LabelledObject> objects = {};
  std::map<std::string, double> seconds = {};  // by stage
  std::string problem = "";                    // why it was passed over; "" for a finished image
};

const char* to_string(LabelSource source);

// An image's id as a file's name, "_" for "/" and "\": ids come from files and must not lead out of
// a folder.
std::string stored_name(const std::string& image_id);

class LabelStore {
 public:
  explicit LabelStore(const std::string& folder) : folder_(folder) {}

  // Creates the folder, or goes on in it; throws Error naming the setting when what is there was
  // begun with other settings.
  void begin(const Settings& settings);
  // Throws Error when there is no such run.
  Settings settings() const;
  // Of the detector that made the maps. Throws Error when there is no such run.
  std::string weights_hash() const;

  // Nothing when the image is not there yet, or its file is damaged.
  std::optional<LabelledImage> read(const std::string& image_id) const;
  // (h, w) f32; undefined where the object had no positives.
  Tensor read_map(const std::string& image_id, const LabelledObject& object) const;

  void write_map(const std::string& image_id, int object, const Tensor& map) const;
  void write_painted(const std::string& image_id, const LabelImage& painted) const;
  // Last of an image's files.
  void write(const LabelledImage& image) const;

  std::string path(const std::string& entry) const { return folder_ + "/" + entry; }

 private:
  std::string folder_;
};

}  // namespace bbam
