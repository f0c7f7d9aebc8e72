// How well masks fit: IoU of two masks, mean IoU of label maps, average best overlap of instances
// (METHOD A12).
//
// All on the host and exact up to the final divisions; -1 stands for "nothing to measure".
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "datasets/image.h"
#include "datasets/rle.h"
#include "tensor/tensor.h"

namespace bbam {

// A label map or mask as these functions take it: (H, W) u8, 1 where its value is `value`, else 0.
Tensor equal_to(const Image& map, uint8_t value);

// Pixels set in both over pixels set in either; 0 where neither has any. Masks are (H, W) u8, any
// value but 0 is set; pixels set in `left_out`, if given, count nowhere. Throws Error for other
// shapes and types.
double mask_iou(const Tensor& a, const Tensor& b, const Tensor& left_out = {});

// Semantic segmentation over whole sets of images: how many pixels of each true class were given
// each label. Class 0 is the background and a class like any other.
class ConfusionMatrix {
 public:
  // By default PASCAL VOC's 20 classes and background, and its void label.
  explicit ConfusionMatrix(int class_count = 21, int ignore_label = 255);

  // Label maps (H, W) u8. Pixels whose truth is the ignore label count nowhere; a pixel predicted
  // as the ignore label is missed by its true class and claimed by none. Any other label that is
  // no class is an Error, and then nothing is added.
  void add(const Tensor& truth, const Tensor& predicted);
  // Adds another matrix of the same classes, for counts made apart.
  void add(const ConfusionMatrix& other);

  // Pixels of class `truth` labelled as `predicted`; predicted == class_count is the ignore label.
  int64_t count(int truth, int predicted) const;
  // True positives over true positives, false positives and false negatives of each class; -1
  // where that is 0 over 0, which is the case of a class that no map contains.
  std::vector<double> class_iou() const;
  double mean_iou() const;  // over the classes that have one

 private:
  size_t index(int truth, int predicted) const;

  int class_count_, ignore_label_;
  std::vector<int64_t> counts_;  // (class_count, class_count + 1)
};

// One object or one predicted instance.
struct LabeledMask {
  int64_t image_id = 0;
  int class_id = 0;
  Rle mask;
};

struct ClassOverlap {
  int class_id = 0;
  int64_t object_count = 0;
  double abo = 0;
};

struct BestOverlap {
  std::vector<ClassOverlap> classes;  // those with objects, ascending
  double mean_abo = -1;               // over these classes
};

// Average best overlap [Uijlings2013; PontTuset2015]: each object gets the highest IoU
// that any predicted mask of its class and image has with it, 0 where there is none, whatever the
// scores; these are averaged over the objects of a class, and the class values over the classes.
// (Uijlings2013 calls the first ABO and the second MABO; the papers on instances from weak labels,
// BBAM among them, report the second under the name ABO. None penalises needless predictions.)
BestOverlap average_best_overlap(std::span<const LabeledMask> objects,
                                 std::span<const LabeledMask> predictions);

}  // namespace bbam
