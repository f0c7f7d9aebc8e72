// The head of RetinaNet [Lin et al. 2017, Focal Loss, section 4]: two subnets, one for classes and
// one for boxes, each shared by all levels of the pyramid.
//
// N images, A anchors per cell, C classes without background, K anchors on all levels of an image.
// Anchors of an image run over levels, rows, columns, ratios, scales.
#pragma once
#include <vector>

#include "detectors/anchors.h"
#include "layers/module.h"
#include "layers/window.h"

namespace bbam {

// 3x3 convolutions with ReLU, then one without.
struct Subnet : Module {
  std::vector<Conv2d> convs;
  Conv2d last;
  std::string last_name;

  Subnet(int convolutions, int64_t channels, int64_t outputs, const std::string& last_name,
         Initializer& init);
  Variable operator()(const Variable& x) const;
  // How many pixels away an output still reads.
  int64_t reach() const { return int64_t(convs.size()) + 1; }
  // conv.0.0.weight, ..., <last_name>.weight
  void visit(const std::string& prefix, const ParameterVisitor& f) override;
};

// Per level, finest first.
struct RetinaNetOutput {
  std::vector<Variable> class_logits;  // (N, H, W, A C): one sigmoid per class
  std::vector<Variable> deltas;        // (N, H, W, 4 A), the same for all classes
};

// What single anchors answer, by row.
struct AnchorAnswers {
  Variable class_logits;  // (R, C)
  Variable deltas;        // (R, 4)
};

struct RetinaNetHead : Module {
  Subnet classification, regression;

  // prior: the probability that each class starts from (section 4.1).
  RetinaNetHead(int64_t channels, int64_t anchors_per_cell, int64_t classes, int convolutions,
                double prior, Initializer& init);
  RetinaNetOutput operator()(const std::vector<Variable>& features) const;
  // The same for the anchors at `places` of images `image_of_row` alone: the subnets run on the
  // part of each level that these answers depend on. Levels without any need not be defined.
  AnchorAnswers at(const std::vector<Variable>& features, const std::vector<AnchorPlace>& places,
                   const std::vector<int64_t>& image_of_row) const;
  // classification_head.*, regression_head.*
  void visit(const std::string& prefix, const ParameterVisitor& f) override;

 private:
  int64_t anchors_per_cell_;
};

// The part of each level and image, windows[level][n], that at() reads for these rows: the cells
// and `reach` more around them, within the level. features: shapes (N, H, W, C).
std::vector<std::vector<Window>> anchor_windows(const std::vector<Shape>& features,
                                                const std::vector<AnchorPlace>& places,
                                                const std::vector<int64_t>& image_of_row,
                                                int64_t reach);

}  // namespace bbam
