// The bounding-box attribution map: the smallest mask of an image that keeps the detector's answer
// for an object [Lee et al., CVPR 2021; METHOD A2 to A6].
#pragma once
#include <functional>
#include <utility>
#include <vector>

#include "attribution/objective.h"
#include "attribution/positives.h"
#include "attribution/stride.h"
#include "layers/resize.h"

namespace bbam {

// The mask that the optimisation starts from: 1 inside the regressed boxes of all positives and 0
// elsewhere (the authors; the paper does not say), or 1 everywhere.
enum class InitialMask { kRegressedBoxes, kOnes };

// Defaults: the paper. Where the authors' program differs, authors() says so field by field.
struct BbamOptions {
  ObjectiveSpec objective;
  PositiveSpec positives;
  double fixed_stride_px = 0;  // 0: adaptive (METHOD A4)
  // Strides are meant for inputs of the paper's size; others get them in proportion to theirs
  // (scale_of_input).
  bool scale_stride = true;
  GridRounding rounding = GridRounding::kCeil;
  Corners corners = Corners::kHalfPixel;
  InitialMask initial = InitialMask::kRegressedBoxes;
  double learning_rate = 0.02;
  int iterations = 300;
  std::vector<int> snapshots{1, 50, 100, 300};  // iterations whose masks are kept
  int batch = 4;                                // objects solved together
  bool record_curve = true;                     // objective terms of each iteration

  static BbamOptions paper() { return {}; }
  static BbamOptions authors();
};

struct BbamObject {
  BoxArray box{};
  int64_t label = 0;  // 1 to C
  uint64_t seed = 0;  // of its candidates, where they are drawn
};

struct BbamResult {
  MaskGrid grid;
  Tensor mask;  // (grid.height, grid.width) f32 in [0, 1] on the CPU; all 0 without positives
  int64_t positives = 0;
  double positive_iou = 0;       // the threshold that the positives passed
  double mean_positive_iou = 0;  // of their regressed boxes with the object's box
  std::vector<std::pair<int, Tensor>> snapshots;
  std::vector<ObjectiveTerms> curve;  // curve[i]: before the step of iteration i + 1
};

// Called after each iteration of each batch with (iterations done, iterations in all); returning
// false stops the solve with the masks as they are, of objects not begun the initial ones.
using SolveProgress = std::function<bool(int64_t done, int64_t total)>;

// Solves for every object of one image (1, H, W, 3), mean-subtracted, on the detector's device. The
// results are in the order of `objects`. Objects without positive proposals are not optimised.
// Throws Error for options out of range and labels that the detector does not know.
std::vector<BbamResult> solve_bbam(ExplainedDetector& detector, const Tensor& image,
                                   const std::vector<BbamObject>& objects,
                                   const BbamOptions& options, const SolveProgress& progress = {});

}  // namespace bbam
