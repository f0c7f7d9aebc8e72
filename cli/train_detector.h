// Training detectors: `bbam train detector` and `bbam train retinanet`, and what the training of
// all of them shares.
#pragma once
#include "cli/detector_file.h"
#include "cli/training_loop.h"
#include "datasets/loader.h"
#include "detectors/training.h"

namespace bbam {

// Input and optimiser; the defaults are METHOD B1's for Faster R-CNN.
struct DetectorTraining {
  int batch = 2;
  double learning_rate = 0.01;  // for a batch of `rate_batch`; scaled by batch / rate_batch
  int rate_batch = 16;
  double momentum = 0.9, weight_decay = 1e-4;
  int64_t warmup = 500;
  // Fractions of the steps after which the rate falls to a tenth: 12,000 and 16,000 of 18,000.
  std::vector<double> milestones{2.0 / 3, 8.0 / 9};
  std::vector<int> short_sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int long_side = 1333, test_short_side = 0;  // 0: the largest training size
  int divisibility = 1;
  int workers = 2;
};
void add_detector_training_options(Command& command, DetectorTraining& options);
// What no single option's bounds can tell; throws Error.
void check_options(const DetectorTraining& options);
// The short side of pictures in detection.
int test_side(const DetectorTraining& options);
Schedule schedule_of(const DetectorTraining& options, int64_t steps);
LoaderOptions loader_options(const DetectorTraining& options, uint64_t seed);

// A detector in training, or what has one in it: everything but the network and its losses.
class DetectionTrainee : public Trainee {
 public:
  DetectionTrainee(const Dataset& dataset, const DetectorTraining& options, Session& session,
                   bool with_masks);

  Optimizer& optimizer() override { return *optimizer_; }
  Schedule schedule(int64_t steps) const override { return schedule_of(options_, steps); }
  void begin(int64_t next) override;
  int64_t batches_per_epoch() const override { return loader_->batches_per_epoch(); }
  const std::vector<std::string>& problems() const override { return loader_->problems(); }
  int64_t load() override;
  StepValues step(double rate, StepSeed seed) override;

 protected:
  // One step of the network on the batch that was loaded.
  virtual StepValues train_on(const DetectorBatch& input, const Batch& batch, double rate,
                              StepSeed seed) = 0;
  // Moves the network to the session's device, and begins to optimise it; once its first weights
  // are there.
  void optimise(Module& network);

 private:
  const Dataset& dataset_;
  const DetectorTraining& options_;
  const uint64_t seed_;
  const Device device_;
  const bool with_masks_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<Loader> loader_;
  Batch batch_;
};

}  // namespace bbam
