// The labels of a picture's objects as its two label maps, which hold the values 1 to 254 (METHOD
// A10).
#pragma once
#include <vector>

#include "attribution/label_image.h"
#include "attribution/pseudo_label.h"
#include "cli/label_tasks.h"

namespace bbam {

// Throws Error where the class of a usable label has an id that does not fit.
void check_classes_fit(const Dataset& dataset, const std::vector<bool>& usable_labels);
// Throws Error where an object of the task has a value that does not fit.
void check_objects_fit(const Dataset& dataset, const LabelTask& task);

// Classes as the data set's files call them. Objects by their position in the record, from 1,
// unless the data set numbers them itself, as VOC does. Boxes of the record that the task leaves
// out, as crowds, are ignored wherever they are not the foreground of a labelled object: they hold
// something that is not background.
LabelImage painted_labels(const Dataset& dataset, const LabelTask& task,
                          const std::vector<ObjectLabel>& labels);

}  // namespace bbam
