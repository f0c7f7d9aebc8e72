// The loop around the training of any network: learning rate, log, checkpoints. Stopped and
// resumed, it gives the same bytes as a run that was not.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autograd/schedule.h"
#include "cli/data_options.h"
#include "detectors/sampler.h"
#include "layers/train_step.h"

namespace bbam {

struct LoopOptions {
  std::string out;
  std::string init;  // weights to begin with; empty: random
  int64_t steps = 0;
  double epochs = 12;  // when steps is 0
  int64_t checkpoint_every = 500;
  bool resume = false;
};
// --out, --init, --steps, --epochs, --checkpoint-every, --resume.
void add_loop_options(Command& command, LoopOptions& options, const std::string& init_help);

// A network in training: what kinds of networks do each in their way.
class Trainee {
 public:
  virtual ~Trainee() = default;

  virtual Module& network() = 0;
  virtual Optimizer& optimizer() = 0;
  // Kept with the weights, and in checkpoints: all that is needed to run the network.
  virtual std::map<std::string, std::string> metadata() const = 0;
  // Columns of log.csv behind step, rate and total.
  virtual std::vector<std::string> loss_names() const = 0;
  virtual Schedule schedule(int64_t steps) const = 0;

  // Opens the loader at its batch `next`.
  virtual void begin(int64_t next) = 0;
  virtual int64_t batches_per_epoch() const = 0;
  // Pictures that were left out so far.
  virtual const std::vector<std::string>& problems() const = 0;
  // Takes the next batch; returns its number, which runs ahead of the steps where a batch had no
  // usable picture.
  virtual int64_t load() = 0;
  // One step on that batch; terms in the order of loss_names(). Throws Error, and changes nothing,
  // when a loss or a gradient is not finite.
  virtual StepValues step(double rate, StepSeed seed) = 0;
};

// What every training command does: reads the data set, has the trainee made of it, trains it, and
// says so. Writes OUT/NAME.safetensors, OUT/checkpoint.safetensors (network, optimiser, step and
// settings, from which --resume goes on byte for byte), OUT/log.csv and OUT/run.json. Throws
// Interrupted on Ctrl-C, after a checkpoint if any step was made. Throws Error where OUT holds a
// training that is not to be resumed, since nothing that was trained is overwritten unless that is
// asked for, or one of other settings; and when a loss is not finite, leaving the last checkpoint.
// What `make` gives must not outlive the data set, which it may change.
using MakeTrainee = std::function<std::unique_ptr<Trainee>(Dataset& dataset)>;
void run_training(const DataOptions& data, const LoopOptions& options, const std::string& name,
                  bool keep_images_without_objects, Session& session, const MakeTrainee& make);

}  // namespace bbam
