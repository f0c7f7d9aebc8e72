// bbam train detector, bbam train retinanet: Faster R-CNN and RetinaNet from boxes (METHOD B1).
#include "cli/train_detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/commands.h"
#include "cli/data_options.h"

namespace bbam {
namespace {

class DetectorTrainee : public DetectionTrainee {
 public:
  DetectorTrainee(const Dataset& dataset, const DetectorOptions& detector, const std::string& init,
                  const DetectorTraining& options, Session& session)
      : DetectionTrainee(dataset, options, session, false), card_{detector, dataset.classes,
                                                                  test_side(options),
                                                                  options.long_side},
        model_(make_detector(detector, int64_t(dataset.classes.size()), session.seed)) {
    if (!init.empty()) load_trunk(*model_, init);
    optimise(*model_);
    model_->set_training(true);
  }

  Module& network() override { return *model_; }
  std::map<std::string, std::string> metadata() const override { return to_metadata(card_); }
  std::vector<std::string> loss_names() const override { return model_->loss_names(); }

 protected:
  StepValues train_on(const DetectorBatch& input, const Batch&, double rate,
                      StepSeed seed) override {
    return train_step(*model_, optimizer(), input, rate, seed);
  }

 private:
  DetectorCard card_;
  std::unique_ptr<Detector> model_;
};

struct DetectorCommand {
  std::string name;  // of the command, and of the file that it makes
  std::string help, footer;
  DetectorTraining training;
  DetectorOptions detector;
  DataOptions data{};
  LoopOptions loop{};
};

void add_training(Program& program, const DetectorCommand& defaults) {
  auto o = std::make_shared<DetectorCommand>(defaults);
  o->data.split = "train";
  Command command = program.add("train " + o->name, o->help);
  add_data_options(command, o->data);
  add_loop_options(
      command, o->loop,
      "weights of the trunk, for BGR pictures of 0 to 255 less the mean (MSRA's; .pth, "
      ".pkl or .safetensors); none: random");
  add_detector_training_options(command, o->training);
  add_detector_options(command, o->detector);
  command.footer(o->footer +
                 "Ctrl-C saves a checkpoint; --resume, with the same options, then gives the\n"
                 "same bytes as a run that was not stopped.");
  command.action([o](Session& session) {
    check_options(o->training);
    run_training(o->data, o->loop, o->name, false, session, [&](const Dataset& dataset) {
      return std::make_unique<DetectorTrainee>(dataset, o->detector, o->loop.init, o->training,
                                               session);
    });
  });
}

}  // namespace

DetectionTrainee::DetectionTrainee(const Dataset& dataset, const DetectorTraining& options,
                                   Session& session, bool with_masks)
    : dataset_(dataset), options_(options), seed_(session.seed), device_(session.device),
      with_masks_(with_masks) {}

void DetectionTrainee::optimise(Module& network) {
  move_to(network, device_);
  optimizer_ = std::make_unique<Sgd>(
      parameter_groups(network, {.weight_decay = options_.weight_decay}), options_.momentum);
}

void DetectionTrainee::begin(int64_t next) {
  LoaderOptions o = loader_options(options_, seed_);
  o.with_masks = with_masks_;
  loader_ = std::make_unique<Loader>(dataset_, o, next);
}

int64_t DetectionTrainee::load() {
  batch_ = loader_->next();
  return batch_.step;
}

StepValues DetectionTrainee::step(double rate, StepSeed seed) {
  DetectorBatch input{batch_.images.to(device_), {}, {}};
  for (size_t i = 0; i < batch_.sizes.size(); ++i) {
    input.frames.push_back({.height = batch_.sizes[i].height, .width = batch_.sizes[i].width});
    input.truth.push_back({batch_.boxes[i], batch_.labels[i]});
  }
  return train_on(input, batch_, rate, seed);
}

int test_side(const DetectorTraining& o) {
  check(!o.short_sides.empty(), "--short-sides: no size; expected at least one");
  return o.test_short_side > 0 ? o.test_short_side
                               : *std::max_element(o.short_sides.begin(), o.short_sides.end());
}

void check_options(const DetectorTraining& o) {
  double before = 0;
  for (const double fraction : o.milestones) {
    check(fraction > before && fraction <= 1,
          "--milestones: expected ascending fractions of the steps, above 0 and up to 1; not ",
          fraction, before > 0 ? join(" after ", before) : "");
    before = fraction;
  }
  check(test_side(o) <= o.long_side, "--test-short-side ", test_side(o),
        " is more than --long-side ", o.long_side,
        "; expected at most that (the default is the largest of --short-sides)");
}

Schedule schedule_of(const DetectorTraining& o, int64_t steps) {
  Schedule schedule{.base_rate = o.learning_rate * o.batch / o.rate_batch,
                    .warmup_steps = std::min(o.warmup, steps / 4)};
  for (const double fraction : o.milestones)
    schedule.milestones.push_back(std::llround(fraction * double(steps)));
  return schedule;
}

LoaderOptions loader_options(const DetectorTraining& options, uint64_t seed) {
  LoaderOptions o = training_loader_options();
  o.batch_size = options.batch;
  o.short_sides = options.short_sides;
  o.long_side = options.long_side;
  o.divisibility = options.divisibility;
  o.plain_objects_only = true;
  o.seed = seed;
  o.workers = options.workers;
  return o;
}

void add_detector_training_options(Command& command, DetectorTraining& t) {
  command.option("--batch", t.batch, "pictures per step").between(1, 4096);
  command
      .option("--lr", t.learning_rate,
              fmt::format("learning rate for a batch of {}; scaled by batch / {}", t.rate_batch,
                          t.rate_batch))
      .between(0, 1e3);
  command.option("--momentum", t.momentum, "of SGD").between(0, 1);
  command.option("--weight-decay", t.weight_decay, "of weights; biases have none").between(0, 1);
  command.option("--warmup", t.warmup, "steps of linear warm-up from 1/3; at most a quarter of all")
      .between(0, 1e9);
  command.option("--milestones", t.milestones,
                 "ascending fractions of the steps after which the rate falls to a tenth");
  command
      .option("--short-sides", t.short_sides,
              "short sides that pictures are resized to, one drawn for each")
      .between(1, kMostSide);
  command.option("--long-side", t.long_side, "long side at most").between(1, kMostSide);
  command
      .option("--test-short-side", t.test_short_side,
              "short side in detection; 0: the largest of training")
      .between(0, kMostSide);
  command.option("--divisibility", t.divisibility, "of the batch's height and width")
      .between(1, 1024);
  command.option("--workers", t.workers, "threads that read pictures").between(0, 256);
}

void add_train_detector(Program& program) {
  program.family("train", "Train networks");
  add_training(program, {.name = "detector",
                         .help = "Train Faster R-CNN with FPN from boxes",
                         .footer = "The rate follows the batch: METHOD B1's 0.01 is for 16 "
                                   "pictures, so 2 pictures train\nwith 0.00125. ",
                         .training = {},
                         .detector = {}});
}

void add_train_retinanet(Program& program) {
  add_training(program, {.name = "retinanet",
                         .help = "Train RetinaNet with FPN from boxes",
                         .footer = "The rate follows the batch: METHOD B1's 0.005 is for 8 "
                                   "pictures, so 2 pictures train\nwith 0.00125. ",
                         .training = {.learning_rate = 0.005, .rate_batch = 8},
                         .detector = {.architecture = kRetinaNet}});
}

}  // namespace bbam
