// What the program asks of every detector that learns from boxes, whatever its architecture.
//
// Images are (N, H, W, 3), mean-subtracted; frames say which part of each is picture. Boxes are in
// pixels of these images; labels are 1 to C.
#pragma once
#include <string>
#include <vector>

#include "detectors/ground_truth.h"
#include "detectors/postprocess.h"
#include "detectors/sampler.h"
#include "layers/module.h"
#include "layers/train_step.h"

namespace bbam {

struct DetectorBatch {
  Tensor images;  // on the model's device
  std::vector<FrameSize> frames;
  std::vector<GroundTruth> truth;
};

class Detector : public Module {
 public:
  // Random choices, where there are any, depend on `step` alone.
  virtual StepLosses losses_on(const DetectorBatch& batch, StepSeed step) = 0;
  // The names of its terms, in their order.
  virtual std::vector<std::string> loss_names() const = 0;
  // One entry per image; records no history.
  virtual std::vector<Detections> detect(const Tensor& images,
                                         const std::vector<FrameSize>& frames) = 0;
  // Batch norms, where there are any: batch statistics (training) or running ones.
  virtual void set_training(bool training) = 0;
};

}  // namespace bbam
