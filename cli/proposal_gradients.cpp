// bbam proposal-gradients: how far gradients reach beyond the proposal that they are taken for
// (section 5, "Comparison with gradient-based methods", figure 8; METHOD A13).
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attribution/head_analysis.h"
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/draw.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/label_tasks.h"
#include "cli/run_record.h"
#include "cli/table.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr int64_t kShown = 3;  // proposals of an object, as in figure 8
constexpr double kPaperShareInside = 0.87, kPaperProposalIou = 0.56;

struct ProposalGradientOptions {
  DataOptions data;
  DetectorChoice detector;
  ExplainSwitches switches;
  std::string out;
  int64_t objects = 100, sheet = 6;
  uint64_t objects_seed = 0;
};

// One proposal; boxes in pixels of the photograph.
struct ProposalGradient {
  PixelBox proposal, regressed;
  int64_t high = 0, inside = 0;  // pixels of the network's input
};

struct MeasuredObject {
  std::string image_id, class_name;
  int object = 0;
  int64_t positives = 0;
  double mean_proposal_iou = 0;
  std::vector<ProposalGradient> gradients;
};

// The value that one pixel in a hundred exceeds becomes 1 [Smilkov et al. 2017, section 3]: by the
// greatest of all, a few pixels would leave the others dark.
Tensor for_the_eye(const Tensor& map) {
  std::vector<float> values = map.to_vector<float>(), sorted = values;
  const auto at = sorted.begin() + int64_t(0.99 * double(sorted.size() - 1));
  std::nth_element(sorted.begin(), at, sorted.end());
  const float bright = *at > 0 ? *at : *std::max_element(at, sorted.end());
  for (float& value : values) value = bright > 0 ? std::min(value / bright, 1.f) : 0;
  return Tensor::from(values, map.shape());
}

Image drawn(const Image& photograph, const Tensor& map, const ProposalGradient& gradient) {
  Image picture = heat_overlay(photograph, for_the_eye(map));
  draw_box(picture, gradient.regressed, {255, 255, 255});
  draw_box(picture, gradient.proposal, class_color(1));
  return picture;
}

PixelBox row_of(const Tensor& boxes, int64_t row) {
  const float* b = boxes.data<float>() + 4 * row;
  return {b[0], b[1], b[2], b[3]};
}

class ProposalGradientRun {
 public:
  ProposalGradientRun(const ProposalGradientOptions& options, const ExplainOptions& explain,
                      const Dataset& dataset, Session& session)
      : o_(options), explain_(explain), dataset_(dataset), session_(session),
        explainer_(options.detector, session.device) {}

  void run() {
    const std::vector<LabelTask> tasks = label_tasks(
        dataset_, known_labels(dataset_, explainer_, session_), o_.objects, o_.objects_seed);
    check(!tasks.empty(), o_.data.data, ": the split has no object to explain");
    const int64_t total = tasks.back().objects_before + int64_t(tasks.back().objects.size());
    Progress progress = session_.progress("object", total);
    std::vector<std::string> problems;
    for (const LabelTask& task : tasks) {
      Image photograph;
      try {
        photograph = read_picture(*task.record);
      } catch (const Error& error) {
        problems.push_back(error.what());
        continue;
      }
      const DetectorInput input = explainer_.input(photograph);
      for (size_t i = 0; i < task.objects.size(); ++i) {
        const int64_t done = task.objects_before + int64_t(i);
        stop_if_interrupted("stopped after ", done, " of ", total, " objects");
        measure(*task.record, task.objects[i], photograph, input);
        progress.update(done + 1, "image " + task.record->id);
      }
    }
    warn_of(problems, session_);
    check(!objects_.empty(), o_.data.data, ": no proposal speaks for any of the ", total,
          " objects");
  }

  void write_sheet() const {
    if (!rows_.empty())
      write_jpeg(o_.out + "/sheet.jpg",
                 contact_sheet({"SimpleGrad of one proposal (coloured) and its prediction (white)",
                                "another", "a third"},
                               rows_, {360, 270}));
  }

  void publish(RunRecord& record) const;

 private:
  void measure(const Record& record, int index, const Image& photograph,
               const DetectorInput& input) {
    const Object& object = record.objects[size_t(index)];
    const int64_t label = explainer_.label_of(dataset_.name_of(object));
    const Positives positives = explainer_.positives(
        input, {object.box, label, object_seed(session_.seed, record.id, object.id)},
        explain_.bbam.positives);
    if (positives.proposals.dim(0) == 0) {
      ++without_positives_;
      return;
    }
    MeasuredObject measured{record.id,
                            dataset_.name_of(object),
                            index,
                            positives.proposals.dim(0),
                            mean_proposal_iou(positives),
                            {}};
    const Tensor proposals = boxes_to_photograph(positives.proposals, input);
    const Tensor regressed = boxes_to_photograph(positives.regressed, input);
    SheetRow row{fmt::format("{} {}", record.id, measured.class_name), {}};
    for (const int64_t k : most_different(positives.proposals, kShown)) {
      const PixelBox one = row_of(positives.proposals, k);
      const BoxArray proposal{one.x0, one.y0, one.x1, one.y1};
      const ObjectProposals asked{box_in_input(object.box, input), label,
                                  ObjectProposals::of_box(proposal, label).proposals};
      const Tensor map =
          simple_grad(explainer_.explained(), input.image, asked, explain_.score()).to(kCpu);
      const std::vector<int64_t> high = high_pixels(map);
      measured.gradients.push_back({row_of(proposals, k), row_of(regressed, k),
                                    int64_t(high.size()),
                                    count_inside(high, map.dim(1), proposal)});
      if (int64_t(rows_.size()) < o_.sheet)
        row.pictures.push_back(drawn(photograph, map, measured.gradients.back()));
    }
    if (!row.pictures.empty()) rows_.push_back(std::move(row));
    objects_.push_back(std::move(measured));
  }

  const ProposalGradientOptions& o_;
  const ExplainOptions& explain_;
  const Dataset& dataset_;
  Session& session_;
  Explainer explainer_;
  std::vector<MeasuredObject> objects_;
  std::vector<SheetRow> rows_;
  int64_t without_positives_ = 0;
};

json json_of(const PixelBox& box) { return {box.x0, box.y0, box.x1, box.y1}; }

json json_of(const MeasuredObject& object) {
  json gradients = json::array();
  for (const ProposalGradient& g : object.gradients)
    gradients.push_back({{"proposal", json_of(g.proposal)},
                         {"regressed", json_of(g.regressed)},
                         {"high_pixels", g.high},
                         {"inside", g.inside}});
  return {{"image", object.image_id},
          {"object", object.object},
          {"class", object.class_name},
          {"positives", object.positives},
          {"mean_proposal_iou", object.mean_proposal_iou},
          {"gradients", gradients}};
}

void ProposalGradientRun::publish(RunRecord& record) const {
  int64_t maps = 0, high = 0, inside = 0;
  double overlap = 0;
  json list = json::array();
  for (const MeasuredObject& object : objects_) {
    for (const ProposalGradient& g : object.gradients) {
      ++maps;
      high += g.high;
      inside += g.inside;
    }
    overlap += object.mean_proposal_iou / double(objects_.size());
    list.push_back(json_of(object));
  }
  const double share = high > 0 ? double(inside) / double(high) : -1;
  Table table({"section 5", "here", "paper"});
  table.add({"pixels above 0.9 that lie inside the proposal, %", percent(share),
             percent(kPaperShareInside)});
  table.add({"mean IoU of positive proposals with their predictions", fixed(overlap, 3),
             fixed(kPaperProposalIou, 2)});
  session_.out
      << fmt::format(
             "{} objects, {} without positive proposals; {} pixels above 0.9 in {} maps\n\n",
             objects_.size(), without_positives_, high, maps)
      << table;
  record.results()["tables"] = {table.json("Gradients of single proposals")};
  record.results()["proposal_gradients"] = {{"share_inside", share},
                                            {"mean_proposal_iou", overlap},
                                            {"high_pixels", high},
                                            {"objects_without_positives", without_positives_},
                                            {"objects", list}};
}

void proposal_gradients(const ProposalGradientOptions& o, Session& session) {
  const ExplainOptions explain = resolve(o.switches, session);
  const Dataset dataset = open_dataset(o.data, session);
  make_folder(o.out);
  RunRecord record(session);
  record.input(o.detector.weights);
  record.input(o.data.data);
  ProposalGradientRun run(o, explain, dataset, session);
  {
    const RunRecord::Stage stage(record, "measure");
    run.run();
  }
  run.write_sheet();
  run.publish(record);
  record.write(o.out + "/run.json");
}

}  // namespace

void add_proposal_gradients(Program& program) {
  auto o = std::make_shared<ProposalGradientOptions>();
  Command command = program.add("proposal-gradients",
                                "How far SimpleGrad reaches beyond the proposal it is taken for");
  add_detector_choice(command, o->detector).required();
  add_data_options(command, o->data);
  command.option("--out,-o", o->out, "folder for run.json and sheet.jpg").required();
  command
      .option("--objects", o->objects,
              "so many, drawn by --objects-seed among those that are neither difficult nor crowds; "
              "0: all but crowds")
      .between(0, 1e9);
  command.option("--objects-seed", o->objects_seed, "of that draw");
  command.option("--sheet", o->sheet, "objects on the sheet, the first").between(0, 1000);
  add_positive_switches(command, o->switches);
  command.footer(
      "Of the positive proposals of each object three are taken that lie most differently: the\n"
      "two that overlap least, then the one whose greatest overlap with them is least. Each has\n"
      "a map of SimpleGrad of its own. Counted are the pixels above 0.9 of the map's range, of\n"
      "all maps together; the IoU of proposals with the boxes that the detector makes of them\n"
      "is the mean over all positive proposals of an object, then over the objects. On the sheet\n"
      "maps are brightened until one pixel in a hundred is saturated.");
  command.action([o](Session& session) { proposal_gradients(*o, session); });
}

}  // namespace bbam
