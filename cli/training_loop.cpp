#include "cli/training_loop.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/run_record.h"
#include "cli/train_settings.h"
#include "layers/checkpoint.h"
#include "layers/safetensors.h"
#include "tensor/files.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

constexpr const char *kNetwork = "model.", *kOptimizer = "optimizer.";
constexpr const char* kCheckpoint = "checkpoint.safetensors";
// Beside the checkpoint and not in it: the same training gives the same checkpoint.
constexpr const char* kSeconds = "seconds.txt";
constexpr const char* kSettings = "settings";

std::string weights_file(const std::string& name) { return name + ".safetensors"; }

// The header and the rows of the first `steps` steps.
std::string log_until(const std::string& log, int64_t steps) {
  size_t end = 0;
  for (int64_t line = 0; line <= steps && end != std::string::npos; ++line) {
    end = log.find('\n', end);
    if (end != std::string::npos) ++end;
  }
  return end == std::string::npos ? log : log.substr(0, end);
}

struct TrainResult {
  std::string weights;
  int64_t steps = 0;
  double seconds = 0;  // of all legs, where it was resumed
  int64_t pictures_left_out = 0;
};

class Loop {
 public:
  Loop(Trainee& trainee, const std::string& name, const Dataset& dataset,
       const LoopOptions& options, Session& session)
      : trainee_(trainee), name_(name), options_(options), session_(session) {
    make_folder(options.out);
    settings_ = training_settings(session, dataset, options.init);
    log_ = "step,rate,total";
    for (const std::string& loss : trainee.loss_names()) log_ += "," + loss;
    log_ += "\n";
    if (options.resume) resume();
  }

  TrainResult run() {
    trainee_.begin(next_batch_);
    total_ = options_.steps;
    if (total_ == 0)
      total_ = std::max<int64_t>(
          1, std::llround(options_.epochs * double(trainee_.batches_per_epoch())));
    const Schedule schedule = trainee_.schedule(total_);
    Progress progress = session_.progress("training", total_, step_);
    start_s_ = profile::now_s();
    size_t told = 0;
    while (step_ < total_) {
      if (interrupted()) stop();
      const int64_t batch = trainee_.load();
      for (; told < trainee_.problems().size(); ++told)
        progress.say("bbam: " + trainee_.problems()[told]);
      one_step(schedule.rate(step_), progress);
      next_batch_ = batch + 1;
      if (options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0)
        save_checkpoint();
    }
    save_checkpoint();
    const std::string weights = path(weights_file(name_));
    write_safetensors(weights, named_tensors(trainee_.network()), trainee_.metadata());
    return {weights, total_, seconds_so_far(), int64_t(trainee_.problems().size())};
  }

 private:
  void one_step(double rate, Progress& progress) {
    StepValues losses;
    try {
      losses = trainee_.step(rate, {.seed = session_.seed, .step = step_});
    } catch (const Error& error) {
      // What is in memory may be spoilt by the steps before: the last good checkpoint stays.
      write_file(path("log.csv"), log_);
      fail(error.what(), "; ", what_is_kept());
    }
    ++step_;
    log_ += fmt::format("{},{:.6g},{:.6g}", step_, rate, losses.total);
    for (const double loss : losses.terms) log_ += fmt::format(",{:.6g}", loss);
    log_ += "\n";
    smoothed_ = smoothed_ < 0 ? losses.total : 0.95 * smoothed_ + 0.05 * losses.total;
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
    for (const auto& [name, tensor] : named_tensors(trainee_.network()))
      tensors.emplace(kNetwork + name, tensor);
    for (const auto& [name, tensor] : trainee_.optimizer().state())
      tensors.emplace(kOptimizer + name, tensor);
    auto metadata = trainee_.metadata();
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
      return;
    }
    const SafetensorsFile saved = read_safetensors(file);
    check_same_run(saved, file);
    load_tensors(trainee_.network(), below(saved.tensors, kNetwork), file);
    trainee_.optimizer().load_state(below(saved.tensors, kOptimizer));
    first_step_ = saved_step_ = step_ = count(saved, "step", file);
    next_batch_ = count(saved, "next_batch", file);
    log_ = log_until(read_file(path("log.csv")), step_);
    if (std::filesystem::exists(path(kSeconds)))
      seconds_before_ = std::strtod(read_file(path(kSeconds)).c_str(), nullptr);
  }

  void check_same_run(const SafetensorsFile& saved, const std::string& file) const {
    // Checkpoints of earlier versions do not say.
    if (const auto was = saved.metadata.find(kSettings); was != saved.metadata.end())
      check_same_settings(settings_from_text(was->second, file), settings_, file);
    else
      session_.warn(file + ": does not say all settings it was begun with; they are not compared");
    for (const auto& [key, value] : trainee_.metadata())
      check(value == entry(saved, key, file), file,
            ": was made with another architecture, classes or test size; resume with the same "
            "options");
    check(entry(saved, "seed", file) == std::to_string(session_.seed), file,
          ": was made with --seed ", entry(saved, "seed", file));
  }

  static std::string entry(const SafetensorsFile& saved, const std::string& key,
                           const std::string& file) {
    const auto found = saved.metadata.find(key);
    check(found != saved.metadata.end(), file, ": is no checkpoint of this training (no '", key,
          "')");
    return found->second;
  }

  static int64_t count(const SafetensorsFile& saved, const char* key, const std::string& file) {
    const std::string text = entry(saved, key, file);
    int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    check(error == std::errc() && end == text.data() + text.size() && value >= 0, file, ": its '",
          key, "' is '", text, "'; expected a whole number, 0 or more");
    return value;
  }

  std::string path(const std::string& name) const { return options_.out + "/" + name; }

  Trainee& trainee_;
  const std::string& name_;
  const LoopOptions& options_;
  Session& session_;
  Settings settings_;
  int64_t step_ = 0, total_ = 0, next_batch_ = 0;
  int64_t first_step_ = 0, saved_step_ = -1;  // of this leg; of the checkpoint, -1 without one
  double start_s_ = 0, seconds_before_ = 0, smoothed_ = -1;
  std::string log_;
};

// Nothing that was trained is overwritten unless that is asked for.
void refuse_to_overwrite(const LoopOptions& options, const std::string& name) {
  const auto there = [&](const std::string& file) {
    return std::filesystem::exists(options.out + "/" + file);
  };
  const std::string weights = weights_file(name);
  const bool checkpoint = there(kCheckpoint), trained = there(weights);
  if (options.resume)
    check(checkpoint || !trained, options.out, "/", weights,
          ": is there already, but no checkpoint to go on from; choose another folder with --out");
  else
    check(!checkpoint && !trained, options.out, "/", checkpoint ? kCheckpoint : weights,
          ": is there already; add --resume to go on with that training, or choose another folder "
          "with --out");
}

}  // namespace

void run_training(const DataOptions& data, const LoopOptions& options, const std::string& name,
                  bool keep_images_without_objects, Session& session, const MakeTrainee& make) {
  RunRecord record(session);
  Dataset dataset = open_dataset(data, session, keep_images_without_objects);
  record.input(data.data);
  if (!options.init.empty()) record.input(options.init);
  refuse_to_overwrite(options, name);
  const std::unique_ptr<Trainee> trainee = make(dataset);
  const TrainResult result = Loop(*trainee, name, dataset, options, session).run();
  const int64_t left_out = dataset.pictures_passed_over + result.pictures_left_out;
  record.add_seconds(session.command, result.seconds);
  record.results()["steps"] = result.steps;
  record.results()["pictures_left_out"] = left_out;
  warn_of_passed_over(left_out, session);
  record.write(options.out + "/run.json");
  session.out << fmt::format("{} steps in {}: {}\n", result.steps, format_duration(result.seconds),
                             result.weights);
}

void add_loop_options(Command& command, LoopOptions& o, const std::string& init_help) {
  command.option("--out,-o", o.out, "folder for weights, checkpoint, log.csv and run.json")
      .required();
  command.option("--init", o.init, init_help);
  command.option("--steps", o.steps, "training steps; 0: as many as --epochs gives")
      .between(0, 1e9);
  command.option("--epochs", o.epochs, "times that each picture is seen").between(0, 1e6);
  command.option("--checkpoint-every", o.checkpoint_every, "steps; 0: at the end only")
      .between(0, 1e9);
  command.flag("--resume", o.resume, "go on from OUT/checkpoint.safetensors");
}

}  // namespace bbam
