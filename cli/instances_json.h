// COCO's two JSON files of boxes and masks: results, which detectors write and evaluators read, and
// annotations, which pseudo labels become.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/rle.h"

namespace bbam {

// One detected, or labelled, object.
struct Instance {
  std::string image_id;  // Record::id
  int category = 0;      // the class as the data set's own files call it (Dataset::source_labels)
  PixelBox box;
  double score = 1;
  std::optional<Rle> mask = {};
  int object = -1;                 // labels only: which object of the record, from 0
  std::optional<Rle> ignore = {};  // labels only: pixels that are neither foreground nor background
};

// A JSON list of {image_id, category_id, bbox: [x, y, width, height], score, segmentation}. Ids
// that are whole numbers are written as such, as COCO's tools expect, others (VOC's) as strings.
void write_results(const std::string& path, const std::vector<Instance>& instances);

// Reads that list, or the `annotations` of a COCO file (score 1 where there is none). Masks may be
// runs, compressed or not, or polygons (then `images` must give the size). Throws Error naming the
// file, the entry and what is wrong with it.
std::vector<Instance> read_instances(const std::string& path);
// The same of a file whose every entry must have a score, as all that is ranked must.
std::vector<Instance> read_detections(const std::string& path);

// A whole COCO file: images, annotations (with ids from 1, `object`, the mask's area and, beside
// `segmentation`, its ignored pixels as `ignore_segmentation`), and categories.
void write_annotations(const std::string& path, const Dataset& dataset,
                       const std::vector<Instance>& instances);

// A number where the text is a whole number without leading zeros; else a string.
nlohmann::json image_id_json(const std::string& id);

}  // namespace bbam
