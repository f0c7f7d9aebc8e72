// How good masks become, and through which step: the same maps under many thresholds, beside what a
// filled box gives without any map; by the size of the objects too (figure 7b). And where on their
// objects the maps are high (METHOD A13, figure 6b).
#pragma once
#include <string>
#include <vector>

#include "attribution/head_analysis.h"
#include "attribution/pseudo_label.h"
#include "datasets/coco_ap.h"
#include "datasets/dataset.h"

namespace bbam {

struct StudySpec {
  std::vector<double> fills{0.5, 0.6, 0.7, 0.8, 0.9};  // of the box, before the CRF
  std::vector<double> thetas{0.85, 0.7, 0.5, 0.3,
                             0.2};               // ranks of METHOD A7, the authors' label step
  std::vector<double> marginals{0.2, 0.5, 0.8};  // thresholds of the paper's label step
  std::vector<double> raw;                       // thresholds of the rescaled map itself
  double blur_reference_px = 500;  // of the authors' label step; 0: none (PseudoLabelOptions)
  double certainty = 0.9;          // what counts as inside after the CRF
  DenseCrfOptions crf = kPseudoLabelCrf;

  StudySpec() {
    for (int i = 1; i < 20; ++i) raw.push_back(0.05 * i);
  }
};

// One way of making a mask, and the IoU it reached on each object.
struct StudyColumn {
  std::string family, setting;
  std::vector<double> iou;
  // Of these, masks that a second attempt made from the box (or_filled_box): part of the authors'
  // label step, but no merit of the map.
  int64_t from_boxes = 0;
  double mean() const;  // -1 without objects
};

struct StudyObject {
  Tensor map;  // (h, w) f32; undefined without positives: such objects are left out
  PixelBox box;
  Image truth;  // 0, 1, kVoid
};

class Study {
 public:
  explicit Study(const StudySpec& spec);
  // Objects of one picture; they share its CRF.
  void add(const Image& picture, const std::vector<StudyObject>& objects);

  const std::vector<StudyColumn>& columns() const { return columns_; }
  // Of the objects whose true masks are of this size; -1 without any.
  double mean(const StudyColumn& column, const CocoAreaRange& range) const;
  int64_t objects(const CocoAreaRange& range) const;
  // Of the pixels whose value is high (kHighValue) once the whole map is rescaled by its extremes.
  const PositionSummary& positions() const { return positions_; }
  // The setting with the greatest mean of a family: "filled box", "filled box + CRF", "map",
  // "map, authors' label step", "map by extremes, paper's label step", "map by rank, paper's label
  // step".
  const StudyColumn& best(const std::string& family) const;
  int64_t objects() const { return int64_t(columns_.front().iou.size()); }

 private:
  StudySpec spec_;
  std::vector<StudyColumn> columns_;
  std::vector<double> areas_px_;  // of the true masks, object by object
  PositionSummary positions_;
};

}  // namespace bbam
