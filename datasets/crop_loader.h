// Training batches for semantic segmentation (METHOD B5): pictures and class maps, scaled, cropped
// and mirrored together, prepared by worker threads.
//
// Class maps are those that read_class_map gives. What batch `step` holds is a pure function of the
// data set, the options and the step, as in loader.h. Pictures come once an epoch, in another order
// each epoch; the last batch of an epoch may be smaller. Epochs follow each other without end.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/transforms.h"

namespace bbam {

// METHOD B5.
struct CropLoaderOptions {
  int batch_size = 5;
  int crop_px = 321;                                       // height and width
  std::vector<double> scales = {0.5, 0.75, 1, 1.25, 1.5};  // one is drawn for each picture
  double flip_probability = 0.5;
  PixelMean mean = kDeepLabMean;
  uint64_t seed = 0;
  int workers = 2;        // 0: the caller's thread does the work
  int batches_ahead = 4;  // prepared before they are asked for
};

// Where a crop lies on its picture, which is scaled, then padded right and below to at least the
// crop's size, then cropped, then mirrored.
struct Crop {
  ImageSize scaled = {};  // each side truncated, at least 1
  int left = 0, top = 0;
  bool flipped = false;
  bool operator==(const Crop&) const = default;
};

// N crops. Lists have one entry for each of them.
struct CropBatch {
  int64_t step = 0;
  Tensor images;                // (N, crop, crop, 3) f32: BGR less the mean, 0 where padded
  Tensor labels;                // (N, crop, crop) u8: 0 ground, 1 .. C, kVoid, also where padded
  std::vector<size_t> records;  // index in Dataset::records
  std::vector<Crop> crops;
  std::vector<std::string> problems;  // of pictures that were left out of this batch
};

// Pictures are scaled as PIL does, bilinear with an antialiasing triangle, rounded to 8 bits; class
// maps by PIL's nearest. DIFFERS: the public program scales pictures with OpenCV, bilinear in
// floating point without antialiasing: when enlarging the same but for rounding, when shrinking
// sharper, with fewer pixels in each.
class CropLoader {
 public:
  // The data set must outlive the loader. Throws Error on options that make no sense.
  explicit CropLoader(const Dataset& dataset, const CropLoaderOptions& options = {},
                      int64_t first_step = 0);
  ~CropLoader();

  // The batch of the next step. A picture that cannot be used (it or its class map is unreadable,
  // or of another size than the annotation says) is left out; a step of which nothing is left is
  // skipped. Throws Error when a whole epoch is.
  CropBatch next();

  // Partial batches count too.
  int64_t batches_per_epoch() const;
  // Each picture that was left out so far, once, with the reason.
  const std::vector<std::string>& problems() const;

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace bbam
