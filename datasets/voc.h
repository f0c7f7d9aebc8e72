// The PASCAL VOC layout, as published:
//   JPEGImages/ID.jpg          (.jpeg and .png are found too)
//   Annotations/ID.xml         boxes: 1-based, both ends included
//   ImageSets/Main/SPLIT.txt   or ImageSets/Segmentation/SPLIT.txt: one ID a line; of lines "ID
//   FLAG"
//                              (class lists) those with a flag of at least 0
//   SegmentationClass/ID.png, SegmentationObject/ID.png     optional; 255 is void
// and, not VOC's: classes.txt, one class name a line, for data with classes other than VOC's
// twenty.
#pragma once
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace bbam {

// VOC's twenty in the order of their indices 1 .. 20.
const std::vector<std::string>& voc_classes();

// `split` is a list's name; "Main/val" or "Segmentation/val" says which folder. A box (xmin, ymin,
// xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax), half-open from 0. A file that cannot be
// parsed costs its picture, a bad <object> only itself; each is told in problems. The picture's
// size is the XML's, or where it gives none, the picture file's.
Dataset read_voc(const std::string& root, const std::string& split,
                 const DatasetOptions& options = {});

// One annotation file and its picture. `classes` are all names it may use, labels 1, 2, ...;
// objects of others are told in problems. Throws Error when the file cannot be parsed.
Dataset read_voc_annotation(const std::string& xml_path, const std::string& image_path,
                            const std::vector<std::string>& classes);

// The annotation file of one picture; boxes at whole pixels.
void write_voc_annotation(const std::string& path, const Record& record,
                          const std::vector<std::string>& classes);

}  // namespace bbam
