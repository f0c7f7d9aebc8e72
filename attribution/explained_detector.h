// What the attribution methods need of a detector.
#pragma once
#include <array>
#include <vector>

#include "autograd/variable.h"
#include "detectors/boxes.h"

namespace bbam {

struct PositiveSpec;

using BoxArray = std::array<float, 4>;  // x0, y0, x1, y1 in pixels of the network's input
inline Box<double> as_box(const BoxArray& b) { return {b[0], b[1], b[2], b[3]}; }

// How class outputs become probabilities.
//   kSoftmax  over C classes and background, which comes first
//   kSigmoid  each class by itself; background has no output
enum class ClassOutputs { kSoftmax, kSigmoid };

struct BoxPredictions {
  Variable class_logits;  // (R, C + 1); of kSigmoid (R, C)
  Variable deltas;        // t of METHOD A1: (R, 4 (C + 1)), one per class, or (R, 4) for them all
  ClassOutputs outputs = ClassOutputs::kSoftmax;
};

// (R) i64: `label` for each row. Throws Error for labels that the predictions do not have, 1 to C.
Tensor label_of_each_row(const BoxPredictions& predictions, int64_t label);
// p of METHOD A1, (R, C + 1), background first; of kSigmoid it has 0.
Variable class_probabilities(const BoxPredictions& predictions);
// What each row answers for its class. label_of_row: (R) i64 in [0, C], else
// throws Error.
Variable probabilities_of(const BoxPredictions& predictions, const Tensor& label_of_row);  // (R)
Variable offsets_of(const BoxPredictions& predictions, const Tensor& label_of_row);        // (R, 4)

class ExplainedDetector {
 public:
  virtual ~ExplainedDetector() = default;
  // images: (K, H, W, 3), mean-subtracted; rois: (R, 5) f32: image index, x0, y0, x1, y1 in pixels
  // of the images. Differentiable with respect to the images; the detector itself is frozen.
  virtual BoxPredictions predict(const Variable& images, const Tensor& rois) = 0;
  // The two halves of predict(), which may compute less where no RoI reads: the layers that RoIs
  // are pooled from, (K, H_l, W_l, C_l) each, and the heads on them.
  virtual std::vector<Variable> features(const Variable& images) = 0;
  virtual BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) = 0;
  // The regions that may speak for an object in an image of height x width, (R, 4) f32 on the CPU,
  // for predict() to judge. If not overridden: jittered_proposals() (METHOD A5).
  virtual Tensor candidates(const BoxArray& box, int64_t height, int64_t width,
                            const PositiveSpec& spec, uint64_t seed) const;
  // Regressed boxes (R, 4) from the offsets (R, 4) of one class and the proposals (R, 4), all on
  // the CPU, clipped to an image of height x width.
  virtual Tensor decode(const Tensor& offsets, const Tensor& proposals, int64_t height,
                        int64_t width) const = 0;
  // A class of boxes for which predict() computes about the same: objects with equal values share
  // their work best when they are solved in one batch.
  virtual int cost_group(const BoxArray& box) const = 0;
};

}  // namespace bbam
