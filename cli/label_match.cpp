#include "cli/label_match.h"

#include <algorithm>

#include "tensor/check.h"

namespace bbam {

std::vector<int> matching_objects(const Record& record, const std::vector<BoxOfClass>& labels) {
  std::vector<int> matches;
  std::vector<bool> given(record.objects.size(), false);
  for (const BoxOfClass& label : labels) {
    const auto fits = [&](size_t k) {
      return k < given.size() && !given[k] && record.objects[k].label == label.label &&
             record.objects[k].box == label.box;
    };
    size_t k = size_t(label.object);
    if (!fits(k))
      for (k = 0; k < given.size() && !fits(k);) ++k;
    const bool found = k < given.size();
    if (found) given[k] = true;
    matches.push_back(found ? int(k) : -1);
  }
  return matches;
}

std::vector<int> matching_objects(const Dataset& dataset, const Record& record,
                                  const LabelledImage& image) {
  std::vector<BoxOfClass> labels;
  for (const LabelledObject& o : image.objects) {
    const auto found = std::find(dataset.classes.begin(), dataset.classes.end(), o.class_name);
    const bool is_known = found != dataset.classes.end();
    labels.push_back({is_known ? int(found - dataset.classes.begin()) + 1 : 0, o.box, o.object});
  }
  const std::vector<int> matches = matching_objects(record, labels);
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i].label > 0 && matches[i] < 0)
      fail_unmatched(record.id, image.objects[i].class_name, labels[i].box);
  return matches;
}

void fail_unmatched(const std::string& image_id, const std::string& class_name,
                    const PixelBox& box) {
  fail("image ", image_id, ": the label of the ", class_name, " at ", box.x0, ", ", box.y0, ", ",
       box.x1, ", ", box.y1,
       " fits no object that the data set has there; expected the boxes that it was made from");
}

}  // namespace bbam
