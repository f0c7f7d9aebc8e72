// Batches of pictures and boxes, prepared by worker threads.
//
// What batch `step` holds is a pure function of the data set, the options and the step: neither the
// number of workers nor where the loader was started changes a byte, so a training run resumes
// exactly from the step alone. Epochs follow each other without end.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/transforms.h"

namespace bbam {

// The defaults give every picture once an epoch, in the data set's order, as for evaluation.
struct LoaderOptions {
  int batch_size = 1;
  std::vector<int> short_sides = {800};  // one is drawn for each picture
  int long_side = 1333;                  // at most
  double flip_probability = 0;
  bool shuffle = false;          // anew each epoch
  bool group_by_aspect = false;  // wide pictures are batched with wide ones, tall with tall
  int divisibility = 1;          // of the batch's height and width
  PixelMean mean = kDetectorMean;
  bool with_masks = false;
  bool plain_objects_only = false;  // leave out difficult ones and crowds
  uint64_t seed = 0;
  int workers = 2;        // 0: the caller's thread does the work
  int batches_ahead = 4;  // prepared before they are asked for
};

// METHOD B1's training input: shuffled, flipped half of the time, grouped by aspect ratio.
LoaderOptions training_loader_options();

// N pictures. Lists have one entry for each of them; K is its number of objects.
struct Batch {
  int64_t step = 0;
  Tensor images;                          // (N, H, W, 3) f32: BGR less the mean, 0 where padded
  std::vector<ImageSize> sizes;           // resized, without padding
  std::vector<Tensor> boxes;              // (K, 4) f32: x0, y0, x1, y1 in resized pixels
  std::vector<Tensor> labels;             // (K) i64: 1 .. C
  std::vector<Tensor> masks;              // (K, h, w) u8 of `sizes`: 0, 1, kVoid; if asked for
  std::vector<size_t> records;            // index in Dataset::records
  std::vector<std::vector<int>> objects;  // index in Record::objects of each box
  std::vector<bool> flipped;
  std::vector<std::string> problems;  // of pictures that were left out of this batch
};

class Loader {
 public:
  // The data set must outlive the loader. Throws Error on options that make no sense.
  Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_step = 0);
  ~Loader();

  // The batch of the next step. A picture that cannot be used (unreadable, or of another size than
  // its annotation says) is left out; a step of which nothing is left is skipped. Throws Error
  // when a whole epoch is.
  Batch next();

  // Partial batches, at the end of an epoch, count too. With the defaults, this many calls of
  // next() give each picture once.
  int64_t batches_per_epoch() const;
  // Each picture that was left out so far, once, with the reason.
  const std::vector<std::string>& problems() const;

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace bbam
