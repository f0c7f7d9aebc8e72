// Which objects of a picture labels speak of. An object's position shifts with --classes, so class
// and box decide; the position tells apart only objects that have both in common.
#pragma once
#include <vector>

#include "cli/label_store.h"
#include "datasets/dataset.h"

namespace bbam {

struct BoxOfClass {
  int label = 0;  // of the data set; 0: not among its classes
  PixelBox box;
  int object = -1;  // where the label's own run had it
};

// For each label an object of the record, each given once; -1 where none fits.
std::vector<int> matching_objects(const Record& record, const std::vector<BoxOfClass>& labels);

// The same for a stored image; throws Error for an object of the data set's classes that fits none.
std::vector<int> matching_objects(const Dataset& dataset, const Record& record,
                                  const LabelledImage& image);

// Throws that Error.
[[noreturn]] void fail_unmatched(const std::string& image_id, const std::string& class_name,
                                 const PixelBox& box);

}  // namespace bbam
