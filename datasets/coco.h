// The MS COCO layout: one JSON file with `images`, `annotations` and `categories`, and a folder of
// pictures.
#pragma once
#include <string>

#include "datasets/dataset.h"

namespace bbam {

// Labels are 1 .. C in the order of the category ids, which may have gaps (source_labels keeps
// them). A bbox (x, y, width, height) becomes (x, y, x + width, y + height). Masks are polygons, or
// runs, compressed or not. Records follow `images`, objects follow `annotations`. A file that is
// no such JSON is an Error; a bad image or annotation costs itself alone and is told in problems.
Dataset read_coco(const std::string& json_path, const std::string& image_folder,
                  const DatasetOptions& options = {});

}  // namespace bbam
