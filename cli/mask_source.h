// Which masks a data set's objects are taken to have in training.
#pragma once
#include <string>

#include "datasets/dataset.h"

namespace bbam {

inline constexpr const char *kTrueMasks = "truth", *kFilledBoxes = "boxes";

// `source`: kTrueMasks, the data set's own; kFilledBoxes, every object's box; or the folder of a
// bbam pseudo-label run over the same objects. There the class maps are the run's too, and objects
// that it has no label for have masks that are ignored everywhere. Throws Error naming the folder
// or the object, where it holds no labels, or labels of objects that the data set does not have.
void set_masks(Dataset& dataset, const std::string& source);

}  // namespace bbam
