// bbam evaluate boxes|masks|instances|semantic: VOC's and COCO's figures, as a table and as JSON.
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/evaluation.h"
#include "cli/run_record.h"
#include "tensor/check.h"

namespace bbam {
namespace {

struct EvaluateOptions {
  DataOptions data;
  std::string results, rule = "area", out;
  bool only_given = false;
};

void tell(const Unknown& unknown, Session& session) {
  if (unknown.images > 0)
    session.warn(join(unknown.images, " results left out: their image is not in the data set"));
  if (unknown.classes > 0)
    session.warn(join(unknown.classes, " results left out: their class is not in the data set"));
}

// Images that could not be compared; Error where none could.
void tell_left_out(const std::vector<std::string>& problems, size_t images,
                   const EvaluateOptions& options, Session& session) {
  if (problems.empty()) return;
  check(problems.size() < images, options.data.data, ": none of the ", images,
        " images can be compared; ", problems[0]);
  warn_of(problems, session, 3);
  session.warn(join(problems.size(), " of ", images, " images were left out"));
}

// Prints the table, and writes the record with the same numbers where --out asks for it.
template <class Scores>
void publish(const Scores& scores, const Dataset& dataset, const EvaluateOptions& options,
             Session& session) {
  session.out << table_of(scores, dataset);
  if (options.out.empty()) return;
  RunRecord record(session);
  record.input(options.results);
  record.input(options.data.data);
  record.results() = json_of(scores, dataset);
  record.write(options.out);
}

// Errors about results name their file.
template <class F>
auto of_file(const std::string& path, F&& compare) {
  try {
    return compare();
  } catch (const Error& error) {
    fail(path, ": ", error.what());
  }
}

void evaluate(const std::string& what, const EvaluateOptions& options, Session& session) {
  const Dataset dataset = open_dataset(options.data, session);
  if (what == "semantic") {
    const SemanticScores scores = evaluate_semantic(dataset, options.results);
    if (scores.missing > 0)
      session.warn(join(options.results, ": has no map of ", scores.missing, " of ",
                        scores.images + scores.missing, " pictures; they are left out"));
    tell_left_out(scores.problems, size_t(scores.images) + scores.problems.size(), options,
                  session);
    publish(scores, dataset, options, session);
    return;
  }
  const std::vector<Instance> results =
      what == "masks" ? read_instances(options.results) : read_detections(options.results);
  if (what == "boxes") {
    const VocApRule rule = options.rule == "area" ? VocApRule::kArea : VocApRule::kElevenPoints;
    const BoxScores scores = evaluate_boxes(dataset, results, rule);
    tell(scores.unknown, session);
    publish(scores, dataset, options, session);
  } else if (what == "instances") {
    const InstanceScores scores =
        of_file(options.results, [&] { return evaluate_instances(dataset, results); });
    tell(scores.unknown, session);
    tell_left_out(scores.problems, dataset.records.size(), options, session);
    publish(scores, dataset, options, session);
  } else {
    const MaskScores scores = of_file(
        options.results, [&] { return evaluate_masks(dataset, results, options.only_given); });
    tell_left_out(scores.problems, dataset.records.size(), options, session);
    publish(scores, dataset, options, session);
  }
}

void add_one(Program& program, const std::string& what, const std::string& help,
             const std::string& results_help) {
  auto options = std::make_shared<EvaluateOptions>();
  Command command = program.add("evaluate " + what, help);
  command.option("RESULTS", options->results, results_help).required();
  add_data_options(command, options->data);
  if (what == "boxes")
    command
        .option("--voc-rule", options->rule, "of VOC's AP: area (2010 on) or eleven points (2007)")
        .one_of({"area", "eleven-points"});
  if (what == "masks")
    command.flag("--only-given", options->only_given,
                 "leave out objects that have no mask, instead of counting them as IoU 0");
  command.option("--out", options->out, "write the figures to this JSON file");
  command.action([what, options](Session& session) { evaluate(what, *options, session); });
}

}  // namespace

void add_evaluate(Program& program) {
  program.family("evaluate", "Figures of boxes, masks, instances or class maps: table and JSON");
  add_one(program, "boxes", "Average precision of detected boxes, VOC's and COCO's",
          "COCO results JSON, as bbam detect writes it");
  add_one(program, "masks", "IoU of each object's pseudo mask with its true mask",
          "COCO annotations JSON, as bbam pseudo-label writes it");
  add_one(program, "instances", "Average precision and best overlap of predicted instance masks",
          "COCO results JSON with masks");
  add_one(program, "semantic", "Mean IoU of class maps",
          "folder of ID.png, whose values are classes as the data set numbers them");
}

}  // namespace bbam
