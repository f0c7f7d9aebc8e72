// An object that bbam pseudo-label has finished, as bbam report shows it.
#pragma once
#include "cli/example.h"
#include "cli/label_store.h"
#include "cli/label_tasks.h"

namespace bbam {

// The i-th object of the task: boxes, mask, seconds and, where the data set has masks, the true
// mask and the IoU of filled box and label with it. Maps, curve and detections are the caller's to
// add.
Example labelled_example(const Dataset& dataset, const LabelTask& task, const LabelledImage& image,
                         size_t i, const Image& photograph);

}  // namespace bbam
