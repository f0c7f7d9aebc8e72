// One object on its way from box to mask, kept for the report in a folder of its own:
//
//   object.json     what it is: image, object, class, label, box, labelled and detected boxes of
//                   the whole picture, stride, proposals, seconds, IoU figures
//   image.jpg       the picture
//   map_NNN.npy     the attribution map after NNN iterations, (h, w) f32 in [0, 1], any resolution
//   curve.csv       iteration, then the objective and its terms
//   mask.png        the pseudo mask: 0, 1, 255 void
//   truth.png       the true mask, likewise
//
// All but object.json and image.jpg may be missing.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/csv.h"
#include "datasets/image.h"
#include "tensor/tensor.h"

namespace bbam {

struct ExampleBox {
  PixelBox box;
  std::string class_name;
  int label = 0;
  double score = -1;  // of detections
};

// "000123-1": image and object, fit for a folder's name.
std::string example_id(const std::string& image_id, int object);

struct Example {
  std::string image_id;
  int object = 0;
  ExampleBox subject;                          // the object itself
  std::vector<ExampleBox> labelled, detected;  // of the whole picture
  double stride_px = 0;    // of the mask's cells on the network's input; 0 unknown
  int64_t proposals = -1;  // positive ones; -1 unknown
  double seconds = -1;
  std::vector<std::pair<std::string, double>> iou;  // by the way the mask was made, in this order

  Image picture;
  std::map<int, Tensor> maps;  // by iteration; 0: of a method without any
  NumberTable curve;
  std::optional<Image> mask, truth;

  std::string id() const { return example_id(image_id, object); }
};

// Into folder/ID, in place of what is there; object.json last, so that a folder that has one is
// whole.
void write_example(const std::string& folder, const Example& example);
// Throws Error when object.json or image.jpg cannot be read; other pieces that are damaged are left
// out with a line in problems.
Example read_example(const std::string& folder, std::vector<std::string>& problems);

}  // namespace bbam
