// bbam pseudo-label: BBAM, CRF and masks for the boxes of a data set (METHOD A2-A8, A10).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/explain.h"
#include "cli/image_labeller.h"
#include "cli/interrupt.h"
#include "cli/label_paint.h"
#include "cli/label_store.h"
#include "cli/label_summary.h"
#include "cli/label_tasks.h"
#include "cli/run_record.h"
#include "tensor/check.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

struct LabelCommandOptions {
  DataOptions data;
  DetectorChoice detector;
  ExplainSwitches switches;
  std::string out;
  std::string reuse_maps;  // folder of an earlier run; "" solves
  std::string refine = kNoRefinement;
  std::string shard = "1/1";
  int64_t objects = 0;  // 0: all
  uint64_t objects_seed = 0;
  int64_t examples = 12;
};

// Settings of this command on which no byte of the labels depends.
const char* const kIncidental[] = {"shard", "examples", "weights"};

class PseudoLabelRun {
 public:
  // `weights_hash`: of the detector that made the maps.
  PseudoLabelRun(const Dataset& dataset, const LabelCommandOptions& options,
                 const ExplainOptions& explain, const std::string& weights_hash, Session& session)
      : dataset_(dataset), options_(options), explain_(explain), weights_hash_(weights_hash),
        session_(session), refiner_(options.refine, explain.label.method, session.seed),
        store_(options.out), shard_(parse_shard(options.shard)) {
    if (options.reuse_maps.empty()) {
      explainer_ = std::make_unique<Explainer>(options.detector, session.device);
      tell_idle_settings(explainer_->card(), explain.bbam, session);
    }
    const std::vector<bool> usable = explainer_
                                         ? known_labels(dataset, *explainer_, session)
                                         : std::vector<bool>(dataset.classes.size() + 1, true);
    check_classes_fit(dataset, usable);
    check_names_differ();
    tasks_ = label_tasks(dataset, usable, options.objects, options.objects_seed);
    check(!tasks_.empty(), options.out, ": the data set has no object to label");
  }

  void run() {
    store_.begin(settings_of_labels());
    ImageLabeller labeller(dataset_, explain_, explainer_.get(), options_.reuse_maps, refiner_,
                           options_.examples, store_, session_);
    int64_t total = 0, done = 0;
    std::vector<const LabelTask*> left;
    for (size_t t = 0; t < tasks_.size(); ++t) {
      if (!shard_.has(t)) continue;
      const auto count = int64_t(tasks_[t].objects.size());
      total += count;
      if (const auto image = stored(tasks_[t]); image && image->problem.empty()) {
        done += count;
        labeller.write_missing_examples(tasks_[t], *image);
      } else {
        left.push_back(&tasks_[t]);
      }
    }
    if (done > 0) session_.warn(join(done, " of ", total, " objects were labelled before"));
    Progress progress = session_.progress("object", total, done);
    const bool solves = explain_.method == AttributionMethod::kBbam;
    for (const LabelTask* task : left) {
      stop_if_interrupted(stop_message(done, total));
      const LabelledImage image = labeller.label(*task, [&](int64_t step, int64_t of) {
        progress.update(done, fmt::format("image {}, {} {}/{}", task->record->id,
                                          solves ? "iteration" : "map", step, of));
        stop_if_interrupted(stop_message(done, total));
        return true;
      });
      if (!image.problem.empty()) progress.say("bbam: " + image.problem + "; passed over");
      done += int64_t(task->objects.size());
      progress.update(done);
    }
  }

  // Once every image of every shard is there.
  void finish() {
    LabelRun run{dataset_, tasks_, {}};
    for (const LabelTask& task : tasks_)
      if (auto image = stored(task)) run.images.push_back(std::move(*image));
    nlohmann::json results{{"weights_hash", weights_hash_}};
    summarise(run, session_.out, results);
    if (run.images.size() < tasks_.size()) {
      session_.out << '\n'
                   << run.images.size() << " of " << tasks_.size()
                   << " images are done; the last of the other shards writes labels.json\n";
      write_record(session_, run, results,
                   fmt::format("run-{}-of-{}.json", shard_.index + 1, shard_.count));
    } else {
      check(!labelled_records(run).records.empty(), "none of the ", tasks_.size(),
            " pictures could be used; ", run.images[0].problem);
      if (options_.objects == 0) write_labels_of_the_others();
      write_annotations(store_.path("labels.json"), labelled_records(run), labelled_instances(run));
      Session whole = session_;
      whole.settings["shard"] = {"1/1"};
      write_record(whole, run, results, "run.json");
    }
  }

 private:
  void check_names_differ() const {
    std::map<std::string, std::string> id_of;
    for (const Record& record : dataset_.records) {
      const auto [first, is_new] = id_of.emplace(stored_name(record.id), record.id);
      check(is_new || first->second != record.id, options_.data.data, ": the picture '", record.id,
            "' is listed twice in the split");
      check(is_new, options_.data.data, ": the pictures '", first->second, "' and '", record.id,
            "' would both be stored as '", first->first,
            "'; expected ids that differ in more than \"/\"");
    }
  }

  // Of images without objects to label, so that every image has label maps.
  void write_labels_of_the_others() const {
    std::set<const Record*> labelled;
    for (const LabelTask& task : tasks_) labelled.insert(task.record);
    for (const Record& record : dataset_.records)
      if (labelled.count(&record) == 0)
        store_.write_painted(record.id, painted_labels(dataset_, {&record, {}, 0}, {}));
  }

  void write_record(const Session& session, const LabelRun& run, const nlohmann::json& results,
                    const std::string& name) const {
    RunRecord record(session);
    record.input(options_.data.data);
    record.input(explainer_ ? options_.detector.weights : options_.reuse_maps);
    for (const LabelledImage& image : run.images)
      for (const auto& [stage, seconds] : image.seconds) record.add_seconds(stage, seconds);
    record.results() = results;
    record.write(store_.path(name));
  }

  Settings settings_of_labels() const {
    Settings settings = decisive_settings(session_);
    for (const char* name : kIncidental) settings.erase(name);
    settings["weights-hash"] = {weights_hash_};
    return settings;
  }

  // The image as finished or passed over; nothing where it is still to be done, also because its
  // annotation has changed since.
  std::optional<LabelledImage> stored(const LabelTask& task) const {
    auto image = store_.read(task.record->id);
    if (!image || !image->problem.empty()) return image;
    if (image->objects.size() != task.objects.size()) return {};
    for (size_t i = 0; i < task.objects.size(); ++i) {
      const LabelledObject& done = image->objects[i];
      const Object& object = task.record->objects[size_t(task.objects[i])];
      if (done.object != task.objects[i] || done.class_name != dataset_.name_of(object) ||
          done.box != object.box)
        return {};
    }
    return image;
  }

  static std::string stop_message(int64_t done, int64_t total) {
    return join("stopped after ", done, " of ", total, " objects; the same command goes on");
  }

  const Dataset& dataset_;
  const LabelCommandOptions& options_;
  const ExplainOptions& explain_;
  const std::string weights_hash_;
  Session& session_;
  const LabelRefiner refiner_;
  LabelStore store_;
  Shard shard_;
  std::unique_ptr<Explainer> explainer_;
  std::vector<LabelTask> tasks_;
};

// Maps that are there already have been made by settings that hold on. Returns the hash of the
// detector's weights.
std::string take_settings_of_maps(const std::string& folder, Session& session) {
  const Settings solved = LabelStore(folder).settings();
  std::vector<std::string> names = solver_setting_names();
  for (const char* name : {"seed", "short-side", "long-side"}) names.push_back(name);
  for (const std::string& name : names) {
    const auto found = solved.find(name);
    const bool differs = found == solved.end() || found->second != session.settings[name];
    check(!differs || session.given.count(name) == 0, "--", name,
          ": the maps of --reuse-maps are solved already, and by another value");
    session.settings.erase(name);
    if (found != solved.end()) session.settings[name] = found->second;
  }
  return LabelStore(folder).weights_hash();
}

void pseudo_label(const LabelCommandOptions& options, Session& session) {
  check(options.reuse_maps.empty() != options.detector.weights.empty(),
        "expected either --weights, or --reuse-maps with the folder of an earlier run");
  check(options.reuse_maps != options.out, "--reuse-maps and --out are the same folder");
  const ExplainOptions explain = resolve(options.switches, session);
  const std::string weights_hash = options.reuse_maps.empty()
                                       ? hash_input(options.detector.weights)
                                       : take_settings_of_maps(options.reuse_maps, session);
  const Dataset dataset = open_dataset(options.data, session);
  PseudoLabelRun run(dataset, options, explain, weights_hash, session);
  run.run();
  run.finish();
}

}  // namespace

void add_pseudo_label(Program& program) {
  auto o = std::make_shared<LabelCommandOptions>();
  Command command =
      program.add("pseudo-label", "Masks from boxes: BBAM, CRF, VOC's label PNGs and COCO json");
  add_data_options(command, o->data);
  command.option("--out", o->out, "folder to write; the same command goes on where it was stopped")
      .required();
  add_detector_choice(command, o->detector);
  command.option("--reuse-maps", o->reuse_maps,
                 "folder of an earlier run whose maps are labelled anew, without solving");
  command.option("--refine", o->refine,
                 "mask proposals that refine the labels (equation 4): none, selective-search, or a "
                 "folder of MCG's files, ID.mat");
  command.option("--shard", o->shard,
                 "I/N: only every N-th image from the I-th on; N processes may share the folder");
  command
      .option(
          "--objects", o->objects,
          "only so many objects, drawn by --objects-seed among those that are neither difficult "
          "nor crowds; 0: all but crowds")
      .between(0, 1e9);
  command.option("--objects-seed", o->objects_seed, "of that draw");
  command
      .option("--examples", o->examples,
              "keep the first so many objects as bbam report shows them: maps, curve, masks; of "
              "images finished before, and of reused maps, only the last map and the masks")
      .between(0, 1e9);
  add_solver_switches(command, o->switches);
  add_label_switches(command, o->switches);
  command.action([o](Session& session) { pseudo_label(*o, session); });
}

}  // namespace bbam
