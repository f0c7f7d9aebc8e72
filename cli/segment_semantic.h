// Class maps of a trained DeepLab on photographs.
#pragma once
#include <set>

#include "cli/deeplab_file.h"
#include "datasets/dataset.h"
#include "segmenters/semantic_inference.h"

namespace bbam {

struct SemanticOptions {
  SemanticInferenceSpec inference;
  bool crf = false;  // METHOD B5's
};

// One channel of the photograph's size: 0 ground, 1 .. C the network's classes.
Image class_map_of(LoadedDeepLab& network, const Image& photograph, Device device,
                   const SemanticOptions& options);

// FOLDER/ID.png for every picture of the data set, which must have the network's classes; values as
// the data set's own files call the classes, as `bbam evaluate semantic` reads them. Pictures that
// cannot be read are added to `problems` and passed over.
void write_class_maps(LoadedDeepLab& network, const Dataset& dataset, const std::string& folder,
                      Session& session, const SemanticOptions& options,
                      std::vector<std::string>& problems);

// The picture's map as write_class_maps has left it in the folder, with the network's labels.
Image written_class_map(const Dataset& dataset, const Record& record, const std::string& folder);

// Each class in its colour; void stays as it is. Returns the labels that occur.
std::set<int> draw_class_map(Image& picture, const Image& map);

}  // namespace bbam
