// bbam train deeplab: DeepLab-v2 from class maps of a data set, of filled boxes, or of pseudo
// labels (METHOD B5).
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/deeplab_file.h"
#include "cli/detector_file.h"
#include "cli/mask_source.h"
#include "cli/training_loop.h"
#include "datasets/crop_loader.h"
#include "segmenters/deeplab_training.h"

namespace bbam {
namespace {

constexpr const char* kName = "deeplab";
constexpr int kRateBatch = 10;  // pictures of the batch that METHOD B5's rate is for

struct DeepLabRun {
  DataOptions data;
  LoopOptions loop;
  std::string masks, loss = "plain";
  DeepLabOptions network;
  int batch = 5, accumulate = kDeepLabAccumulation;
  double learning_rate = 2.5e-4, head_rate = 10, momentum = 0.9, weight_decay = 5e-4;
  int crop = 321, workers = 2;
  std::vector<double> crop_scales{0.5, 0.75, 1, 1.25, 1.5};
};

DeepLabSpec spec_of(const DeepLabRun& run, const Dataset& dataset) {
  DeepLabSpec spec = deeplab_spec(run.network, int64_t(dataset.classes.size()));
  spec.loss = run.loss == "balanced" ? DeepLabLoss::kBalanced : DeepLabLoss::kPlain;
  return spec;
}

class DeepLabTrainee : public Trainee {
 public:
  DeepLabTrainee(const Dataset& dataset, const DeepLabRun& run, const Session& session)
      : dataset_(dataset), run_(run), seed_(session.seed),
        device_(session.device), card_{run.network, dataset.classes},
        model_(spec_of(run, dataset), session.seed) {
    if (!run.loop.init.empty()) load_trunk(model_, run.loop.init);
    move_to(model_, device_);
    optimizer_ = std::make_unique<Sgd>(
        deeplab_parameter_groups(model_, {run.weight_decay, run.head_rate, 2 * run.head_rate}),
        run.momentum);
  }

  Module& network() override { return model_; }
  Optimizer& optimizer() override { return *optimizer_; }
  std::map<std::string, std::string> metadata() const override { return to_metadata(card_); }
  std::vector<std::string> loss_names() const override {
    std::vector<std::string> names{"scale_1"};
    for (const double scale : model_.spec().scales) names.push_back(join("scale_", scale));
    names.push_back("maximum");
    return names;
  }
  Schedule schedule(int64_t steps) const override {
    Schedule schedule = deeplab_schedule(steps);
    schedule.base_rate = run_.learning_rate * run_.batch * run_.accumulate / kRateBatch;
    return schedule;
  }

  void begin(int64_t next) override {
    CropLoaderOptions o;
    o.batch_size = run_.batch;
    o.crop_px = run_.crop;
    o.scales = run_.crop_scales;
    o.seed = seed_;
    o.workers = run_.workers;
    loader_ = std::make_unique<CropLoader>(dataset_, o, next);
  }
  // Steps, since each takes several batches of the loader.
  int64_t batches_per_epoch() const override {
    return std::max<int64_t>(1, loader_->batches_per_epoch() / run_.accumulate);
  }
  const std::vector<std::string>& problems() const override { return loader_->problems(); }
  int64_t load() override {
    batches_.clear();
    int64_t last = 0;
    for (int k = 0; k < run_.accumulate; ++k) {
      CropBatch batch = loader_->next();
      last = batch.step;
      batches_.push_back({batch.images.to(device_), batch.labels.to(device_)});
    }
    return last;
  }
  StepValues step(double rate, StepSeed seed) override {
    return train_step(model_, *optimizer_, batches_, rate, seed.step);
  }

 private:
  const Dataset& dataset_;
  const DeepLabRun& run_;
  const uint64_t seed_;
  const Device device_;
  DeepLabCard card_;
  DeepLab model_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<CropLoader> loader_;
  std::vector<DeepLabBatch> batches_;
};

void add_training_options(Command& command, DeepLabRun& o) {
  command.option("--batch", o.batch, "crops in memory at once").between(1, 4096);
  command.option("--accumulate", o.accumulate, "times that many crops in each step")
      .between(1, 4096);
  command
      .option("--lr", o.learning_rate,
              "learning rate for a step of 10 crops; scaled by batch * accumulate / 10")
      .between(0, 1e3);
  command
      .option(
          "--head-rate", o.head_rate,
          "times that rate for the last layers' weights, and twice as much for their biases; 10 "
          "suits a trunk that has learnt from ImageNet, 1 one that begins with them")
      .between(0, 1e3);
  command
      .option("--loss", o.loss,
              "cross entropy; plain: mean over labelled pixels; balanced: mean of background's and "
              "of foreground's, as later papers train from pseudo labels")
      .one_of({"plain", "balanced"});
  command.option("--momentum", o.momentum, "of SGD").between(0, 1);
  command.option("--weight-decay", o.weight_decay, "of all but the last layers' biases")
      .between(0, 1);
  command.option("--crop", o.crop, "pixels of a crop's sides").between(33, 8192);
  command
      .option("--crop-scales", o.crop_scales,
              "sizes of the picture that a crop is taken from, one drawn for each")
      .between(0.05, 8);
  command.option("--workers", o.workers, "threads that read pictures").between(0, 256);
}

}  // namespace

void add_train_deeplab(Program& program) {
  auto o = std::make_shared<DeepLabRun>();
  o->data.split = "train";
  o->loop.steps = 20000;
  Command command = program.add("train deeplab", "Train DeepLab-v2 from class maps");
  add_data_options(command, o->data);
  command
      .option("--masks", o->masks,
              "truth: the data set's class maps; boxes: filled boxes; or the folder of a bbam "
              "pseudo-label run over the same objects")
      .required();
  add_loop_options(
      command, o->loop,
      "weights of the trunk, for BGR pictures of 0 to 255 less the mean (MSRA's; .pth, "
      ".pkl or .safetensors), or a detector of this program; none: random");
  add_training_options(command, *o);
  add_deeplab_options(command, o->network);
  command.footer(
      "The rate falls with (1 - step / steps)^0.9. Ctrl-C saves a checkpoint; --resume, with the\n"
      "same options, then gives the same bytes as a run that was not stopped.");
  command.action([o](Session& session) {
    run_training(o->data, o->loop, kName, true, session, [&](Dataset& dataset) {
      set_masks(dataset, o->masks);
      return std::make_unique<DeepLabTrainee>(dataset, *o, session);
    });
  });
}

}  // namespace bbam
