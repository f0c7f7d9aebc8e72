// Training a detector from boxes, as a function: `bbam train detector` and the demo call it.
#pragma once
#include "cli/data_options.h"
#include "cli/detector_file.h"
#include "cli/run_record.h"

namespace bbam {

struct TrainOptions {
  DetectorOptions detector;
  std::string out;
  std::string init;  // weights of the trunk; empty: random
  int64_t steps = 0;
  double epochs = 12;  // when steps is 0
  int batch = 2;
  // For a batch of 16, as METHOD B1 gives it; scaled by batch / 16.
  double learning_rate = 0.01;
  double momentum = 0.9, weight_decay = 1e-4;
  int64_t warmup = 500;
  // Fractions of the steps after which the rate falls to a tenth: 12,000 and 16,000 of 18,000.
  std::vector<double> milestones{2.0 / 3, 8.0 / 9};
  std::vector<int> short_sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int long_side = 1333, test_short_side = 0;  // 0: the largest training size
  int divisibility = 1;
  int workers = 2;
  int64_t checkpoint_every = 500;
  bool resume = false;
};

struct TrainResult {
  std::string weights;  // OUT/detector.safetensors
  int64_t steps = 0;
  double seconds = 0;  // of all legs, where it was resumed
  int64_t pictures_left_out = 0;
};

// Writes OUT/detector.safetensors, OUT/checkpoint.safetensors (model, optimiser, step and settings,
// from which --resume goes on byte for byte) and OUT/log.csv. Throws Interrupted on Ctrl-C, after a
// checkpoint if any step was made. Throws Error where OUT holds a training that is not to be
// resumed, or one of other settings; and when a loss is not finite, leaving the last checkpoint.
TrainResult train_detector(const Dataset& dataset, const TrainOptions& options, Session& session,
                           RunRecord& record);

}  // namespace bbam
