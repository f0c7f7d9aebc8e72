// bbam train detector: Faster R-CNN from boxes (METHOD B1).
#include "cli/train_detector.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/schedule.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/train_settings.h"
#include "datasets/loader.h"
#include "detectors/training.h"
#include "layers/checkpoint.h"
#include "tensor/files.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

constexpr const char* kLogHeader = "step,rate,total,objectness,rpn_box,classification,box\n";
constexpr const char *kModel = "model.", *kOptimizer = "optimizer.";
constexpr const char *kCheckpoint = "checkpoint.safetensors", *kDetector = "detector.safetensors";
// Beside the checkpoint and not in it: the same training gives the same checkpoint.
constexpr const char* kSeconds = "seconds.txt";
constexpr const char* kSettings = "settings";

// Nothing that was trained is overwritten unless that is asked for.
void refuse_to_overwrite(const TrainOptions& options) {
  const auto there = [&](const char* name) {
    return std::filesystem::exists(options.out + "/" + name);
  };
  const bool checkpoint = there(kCheckpoint), detector = there(kDetector);
  if (options.resume)
    check(checkpoint || !detector, options.out, "/", kDetector,
          ": is there already, but no checkpoint to go on from; choose another folder with --out");
  else
    check(!checkpoint && !detector, options.out, "/", checkpoint ? kCheckpoint : kDetector,
          ": is there already; add --resume to go on with that training, or choose another folder "
          "with --out");
}

// The short side of pictures in detection.
int test_side(const TrainOptions& o) {
  check(!o.short_sides.empty(), "--short-sides: no size; expected at least one");
  return o.test_short_side > 0 ? o.test_short_side
                               : *std::max_element(o.short_sides.begin(), o.short_sides.end());
}

// What no single option's bounds can tell.
void check_options(const TrainOptions& o) {
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

class DetectorRun {
 public:
  DetectorRun(const Dataset& dataset, const TrainOptions& options, Session& session)
      : dataset_(dataset), options_(options),
        session_(session), card_{options.detector, dataset.classes, test_side(options),
                                 options.long_side},
        model_(detector_spec(options.detector, int64_t(dataset.classes.size())), session.seed) {
    make_folder(options.out);
    settings_ = training_settings(session, dataset, options.init);
    if (!options.init.empty()) load_trunk(model_, options.init);
    move_to(model_, session.device);
    optimizer_ = std::make_unique<Sgd>(
        parameter_groups(model_, {.weight_decay = options.weight_decay}), options.momentum);
    if (options.resume)
      resume();
    else
      log_ = kLogHeader;
  }

  TrainResult run(RunRecord& record) {
    Loader loader(dataset_, loader_options(), next_batch_);
    total_ = options_.steps > 0
                 ? options_.steps
                 : std::max<int64_t>(
                       1, std::llround(options_.epochs * double(loader.batches_per_epoch())));
    const Schedule schedule = make_schedule();
    Progress progress = session_.progress("training", total_, step_);
    start_s_ = profile::now_s();
    size_t told = 0;
    model_.set_training(true);
    while (step_ < total_) {
      if (interrupted()) stop();
      const Batch batch = loader.next();
      for (; told < loader.problems().size(); ++told)
        progress.say("bbam: " + loader.problems()[told]);
      one_step(batch, schedule.rate(step_), progress);
      next_batch_ = batch.step + 1;
      if (options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0)
        save_checkpoint();
    }
    model_.set_training(false);
    save_checkpoint();
    const std::string weights = path(kDetector);
    save_detector(weights, model_, card_);
    const double seconds = seconds_so_far();
    record.add_seconds("train detector", seconds);
    record.results()["steps"] = total_;
    const int64_t left_out = dataset_.pictures_passed_over + int64_t(loader.problems().size());
    record.results()["pictures_left_out"] = left_out;
    return {weights, total_, seconds, left_out};
  }

 private:
  LoaderOptions loader_options() const {
    LoaderOptions o = training_loader_options();
    o.batch_size = options_.batch;
    o.short_sides = options_.short_sides;
    o.long_side = options_.long_side;
    o.divisibility = options_.divisibility;
    o.plain_objects_only = true;
    o.seed = session_.seed;
    o.workers = options_.workers;
    return o;
  }

  Schedule make_schedule() const {
    Schedule schedule{.base_rate = options_.learning_rate * options_.batch / 16,
                      .warmup_steps = std::min(options_.warmup, total_ / 4)};
    for (const double fraction : options_.milestones)
      schedule.milestones.push_back(std::llround(fraction * double(total_)));
    return schedule;
  }

  void one_step(const Batch& batch, double rate, Progress& progress) {
    DetectorBatch input{batch.images.to(session_.device), {}, {}};
    for (size_t i = 0; i < batch.sizes.size(); ++i) {
      input.frames.push_back({.height = batch.sizes[i].height, .width = batch.sizes[i].width});
      input.truth.push_back({batch.boxes[i], batch.labels[i]});
    }
    LossValues loss;
    try {
      loss = train_step(model_, *optimizer_, input, rate, {.seed = session_.seed, .step = step_});
    } catch (const Error& error) {
      // What is in memory may be spoilt by the steps before: the last good checkpoint stays.
      write_file(path("log.csv"), log_);
      fail(error.what(), "; ", what_is_kept());
    }
    ++step_;
    log_ += fmt::format("{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g}\n", step_, rate, loss.total,
                        loss.objectness, loss.rpn_box, loss.classification, loss.box);
    smoothed_ = smoothed_ < 0 ? loss.total : 0.95 * smoothed_ + 0.05 * loss.total;
    progress.update(step_, fmt::format("loss {:.3f}", smoothed_));
  }

  [[noreturn]] void stop() {
    if (step_ > first_step_) save_checkpoint();
    throw Interrupted(
        join("stopped at step ", step_, " of ", total_, "; ",
             step_ > 0 ? "go on with --resume" : "there is nothing to go on from yet"));
  }

  std::string what_is_kept() const {
    if (saved_step_ < 0) return "no checkpoint had been written";
    return join(path(kCheckpoint), " is as it was after step ", saved_step_);
  }

  // Of all legs of a run that was stopped and resumed.
  double seconds_so_far() const { return seconds_before_ + profile::now_s() - start_s_; }

  void save_checkpoint() {
    TensorMap tensors;
    for (const auto& [name, tensor] : named_tensors(model_)) tensors.emplace(kModel + name, tensor);
    for (const auto& [name, tensor] : optimizer_->state())
      tensors.emplace(kOptimizer + name, tensor);
    auto metadata = to_metadata(card_);
    metadata["step"] = std::to_string(step_);
    metadata["next_batch"] = std::to_string(next_batch_);
    metadata["seed"] = std::to_string(session_.seed);
    metadata[kSettings] = to_text(settings_);
    write_file(path("log.csv"), log_);
    write_file(path(kSeconds), fmt::format("{:.3f}\n", seconds_so_far()));
    write_safetensors(path(kCheckpoint), tensors, metadata);
    saved_step_ = step_;
  }

  void resume() {
    const std::string file = path(kCheckpoint);
    if (!std::filesystem::exists(file)) {
      session_.warn(file + ": not there, so training begins at step 0");
      log_ = kLogHeader;
      return;
    }
    const SafetensorsFile saved = read_safetensors(file);
    const auto entry = [&](const char* key) {
      const auto found = saved.metadata.find(key);
      check(found != saved.metadata.end(), file, ": is not a training checkpoint (no '", key, "')");
      return found->second;
    };
    // Checkpoints of earlier versions do not say.
    if (const auto was = saved.metadata.find(kSettings); was != saved.metadata.end())
      check_same_settings(settings_from_text(was->second, file), settings_, file);
    else
      session_.warn(file + ": does not say all settings it was begun with; they are not compared");
    check(
        to_metadata(card_).at("detector") == entry("detector"), file,
        ": was made with another architecture, classes or test size; resume with the same options");
    check(entry("seed") == std::to_string(session_.seed), file, ": was made with --seed ",
          entry("seed"));
    load_tensors(model_, below(saved.tensors, kModel), file);
    optimizer_->load_state(below(saved.tensors, kOptimizer));
    const auto count = [&](const char* key) {
      const std::string text = entry(key);
      int64_t value = -1;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      check(error == std::errc() && end == text.data() + text.size() && value >= 0, file, ": its '",
            key, "' is '", text, "'; expected a whole number, 0 or more");
      return value;
    };
    first_step_ = saved_step_ = step_ = count("step");
    next_batch_ = count("next_batch");
    log_ = log_until(read_file(path("log.csv")), step_);
    if (std::filesystem::exists(path(kSeconds)))
      seconds_before_ = std::strtod(read_file(path(kSeconds)).c_str(), nullptr);
  }

  // The header and the rows of the first `steps` steps.
  static std::string log_until(const std::string& log, int64_t steps) {
    size_t end = 0;
    for (int64_t line = 0; line <= steps && end != std::string::npos; ++line) {
      end = log.find('\n', end);
      if (end != std::string::npos) ++end;
    }
    return end == std::string::npos ? log : log.substr(0, end);
  }

  std::string path(const std::string& name) const { return options_.out + "/" + name; }

  const Dataset& dataset_;
  const TrainOptions& options_;
  Session& session_;
  DetectorCard card_;
  Settings settings_;
  FasterRcnn model_;
  std::unique_ptr<Sgd> optimizer_;
  int64_t step_ = 0, total_ = 0;
  int64_t first_step_ = 0, saved_step_ = -1;  // of this leg; of the checkpoint, -1 without one
  double start_s_ = 0, seconds_before_ = 0;
  int64_t next_batch_ =
      0;  // of the loader; runs ahead of step_ where a batch had no usable picture
  double smoothed_ = -1;
  std::string log_;
};

}  // namespace

TrainResult train_detector(const Dataset& dataset, const TrainOptions& options, Session& session,
                           RunRecord& record) {
  check_options(options);
  refuse_to_overwrite(options);
  const TrainResult result = DetectorRun(dataset, options, session).run(record);
  warn_of_passed_over(result.pictures_left_out, session);
  return result;
}

void add_train_detector(Program& program) {
  struct All {
    DataOptions data;
    TrainOptions train;
  };
  auto o = std::make_shared<All>();
  o->data.split = "train";
  program.family("train", "Train networks");
  Command command = program.add("train detector", "Train Faster R-CNN with FPN from boxes");
  add_data_options(command, o->data);
  TrainOptions& t = o->train;
  command.option("--out,-o", t.out, "folder for weights, checkpoint, log.csv and run.json")
      .required();
  command.option("--init", t.init,
                 "weights of the trunk, for BGR pictures of 0 to 255 less the mean (MSRA's; .pth, "
                 ".pkl or .safetensors); none: random");
  command.option("--steps", t.steps, "training steps; 0: as many as --epochs gives")
      .between(0, 1e9);
  command.option("--epochs", t.epochs, "times that each picture is seen").between(0, 1e6);
  command.option("--batch", t.batch, "pictures per step").between(1, 4096);
  command.option("--lr", t.learning_rate, "learning rate for a batch of 16; scaled by batch / 16")
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
  command.option("--checkpoint-every", t.checkpoint_every, "steps; 0: at the end only")
      .between(0, 1e9);
  command.flag("--resume", t.resume, "go on from OUT/checkpoint.safetensors");
  add_detector_options(command, t.detector);
  command.footer(
      "The rate follows the batch: METHOD B1's 0.01 is for 16 pictures, so 2 pictures train\n"
      "with 0.00125. Ctrl-C saves a checkpoint; --resume, with the same options, then gives the\n"
      "same bytes as a run that was not stopped.");
  command.action([o](Session& session) {
    RunRecord record(session);
    const Dataset dataset = open_dataset(o->data, session, false);
    record.input(o->data.data);
    if (!o->train.init.empty()) record.input(o->train.init);
    const TrainResult result = train_detector(dataset, o->train, session, record);
    record.write(o->train.out + "/run.json");
    session.out << fmt::format("{} steps in {}: {}\n", result.steps,
                               format_duration(result.seconds), result.weights);
  });
}

}  // namespace bbam
